"""Benchmarks that print ratios: each figure stands beside a baseline measured in the same run.

`python -m tests.bench` measures all rows; `docs/benchmarks.md` says what each one means.
"""
