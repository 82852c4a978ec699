"""Grader processes with hard time limits, and the pool that asks them."""
