"""Kimi k1.5's ways from a model that thinks long to one that thinks short (arXiv:2501.12599, section 2.4): stage kinds."""
