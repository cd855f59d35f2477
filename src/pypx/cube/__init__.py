"""CUBE, the backend of ChRIS: its API, as far as series are registered with it.

It has had two ways to register, and sites run both: once a series (current), or once a file (earlier).
"""
