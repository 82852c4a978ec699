"""Laying out what is learnt in rows of tokens: documents side by side, and completions behind their shared prompt."""
