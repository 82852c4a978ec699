"""Generation by vLLM, in a Python environment of its own: environment, child (what runs there), engine (our end)."""
