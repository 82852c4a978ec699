"""Drafts that need no model: what followed the last tokens where they stood before."""
