"""What tests kill processes with, under the name they know it by."""

from cogitate.recipe.kills import arm, outcome

__all__ = ["arm", "outcome"]
