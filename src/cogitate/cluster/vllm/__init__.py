"""Generation by vLLM, in a Python environment of its own: environment, padding, child (what runs there), engine (our end)."""
