"""A look at a model before RL: how it does at several prompts, worked examples of its own, and settings that follow."""
