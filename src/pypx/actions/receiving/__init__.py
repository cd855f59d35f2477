"""Receiving images: who may send, which files are complete, and their way into data/ and the catalogue."""
