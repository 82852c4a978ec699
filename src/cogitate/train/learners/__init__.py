"""Models with their optimisers, as the loops know them (backend.py); `scorer.py`: models that are only read."""
