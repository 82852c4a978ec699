"""The stages of InstructGPT (arXiv:2203.02155), the paradigm R1 departs from, and DPO."""
