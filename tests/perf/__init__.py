"""Benchmarks: `python -m tests.perf [--quick] [--out FILE] [SECTION ...]`, or `make bench`.

Every section measures in processes of its own, in interleaved blocks, and gives medians of seven with
their spread. A bound that is missed is shown as missed. Nothing here is a test: a busy machine makes
figures, not failures.
"""
