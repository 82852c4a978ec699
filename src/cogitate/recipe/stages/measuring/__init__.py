"""Stages that measure what RL and experiments build on: pass rates, draws for best-of-n, curves of searches."""
