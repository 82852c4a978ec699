"""A model as a judge, where rules cannot decide: how it is asked, and what of its answers counts as a verdict."""
