"""What tests kill processes with, under the name they know it by."""

from cogitate.recipe.proof.sigkill_injection import arm, outcome

__all__ = ["arm", "outcome"]
