"""The front door. `recipe.py` is the figure of the paper as data, `runner.py` walks it, `stages/` has a file for each kind."""
