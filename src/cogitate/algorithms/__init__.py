"""Tensors in, tensors out: advantages, policy losses, preference losses and language-model losses."""
