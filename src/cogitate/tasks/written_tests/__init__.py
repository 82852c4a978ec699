"""Tests of programs that a model proposes as values: read, run against known programs, and kept where they tell these apart."""
