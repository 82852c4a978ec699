"""`cogitate compare FILE.toml`: variants of a recipe at several seeds under one budget, and a page of what differs."""
