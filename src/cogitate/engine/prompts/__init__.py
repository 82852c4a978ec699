"""Prompts: what of them is there, and reading what is not."""
