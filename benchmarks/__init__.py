"""Benchmarks: `python -m benchmarks NAME [--json FILE] …`.

Each prints, as its last line, one JSON object with its figures, and runs a baseline beside what it
measures, in the same process conditions. Results are kept in `results/`.
"""
