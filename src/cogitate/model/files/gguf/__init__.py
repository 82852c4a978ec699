"""GGUF files in (`header.py` checks, `settings.py`, `tokenizer.py`, `model.py` read) and out (`export.py`, `write*.py`)."""
