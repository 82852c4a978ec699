"""Sections of experiments with questions of their own: scaling, over-optimisation, search."""
