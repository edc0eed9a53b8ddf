"""Micro-benchmarks of the compiled parts and of the rooms' rules: `pytest bench/micro`.

One file for each thing that is measured, `test_<thing>.py`; each test uses the `benchmark` fixture of pytest-benchmark and
asserts that what it measured did its work. Names say the operation: what stands in the report is `test_<operation>`.
"""
