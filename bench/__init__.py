"""Benchmarks: each tool against the bare program that it stands on, on the same data, in turns.

``python -m bench find`` runs one and writes its section of ``bench/RESULTS.rst``; ``python -m bench --help``
lists them.
"""
