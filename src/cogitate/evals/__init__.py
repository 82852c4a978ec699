"""Measuring: completions of evaluation problems, graded, as metrics with intervals."""
