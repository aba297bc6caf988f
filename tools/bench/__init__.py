"""Benchmarks: what the design promises, measured beside a peer in the same run.

`python -m riskd.tools.bench` runs them. A benchmark is one module with one function, `measure`,
and one row of the table in `__main__`. `measure` takes how many samples to make and returns
results; `results` says what those are, `processes` starts what a benchmark needs beside itself.

Ours and the peer's are sampled in turn, so that a noisy machine hurts both alike. The garbage
collector stays on, as it does in riskd.
"""
