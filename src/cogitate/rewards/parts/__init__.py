"""Parts of the reward: what they see of a completion, the built-in ones by name, and a user's own functions."""
