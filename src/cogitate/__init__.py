"""Cogitate: the complete DeepSeek-R1 recipe as software. Start with `recipe/recipe.py`: it reads like the paper's figure."""

__version__ = "0.1.0"
