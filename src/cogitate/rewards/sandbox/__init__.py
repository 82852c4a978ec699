"""Isolation of model-written programs; `sandbox.py` is its face, `inside/` what runs in there."""
