"""General and safety prompts with their true scores, and the phrases they are made of."""
