"""The demo: a real PACS on this machine, invented patients in it, and the main job shown on them.

Not part of the installed package. ``bin/demo`` runs it from a checkout; tests and benchmarks start their
servers and make their images with it too.
"""
