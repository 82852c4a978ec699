"""Answers of reasoning-gym, judged by its own scorers and what must hold as well."""
