"""Policies with their optimisers: GRPO and PPO."""
