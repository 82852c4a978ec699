"""The messy text the base model reads. Solutions and styles live here alone: no RL code may import this package."""
