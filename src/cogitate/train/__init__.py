"""Three loops: `supervised.py`, `preference.py`, `rl.py`; checkpoints, packing and rollouts for them."""
