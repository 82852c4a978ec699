"""Byte-level BPE, chat templates, and the one definition of how thinking opens and closes."""
