"""Benchmarks by name: where their rows are published, how a row becomes a problem, what is asked and what is counted."""
