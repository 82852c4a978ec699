"""Our benchmarks beside lm-eval (EleutherAI) on the same rows, prompts and settings: which rows differ, and why."""
