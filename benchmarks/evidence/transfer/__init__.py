"""Base and R1-Zero on tasks of others, of which training has no row."""
