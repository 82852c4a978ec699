"""GGUF files in: `header.py` checks, `settings.py` and `tokenizer.py` read the keys, `model.py` the weights."""
