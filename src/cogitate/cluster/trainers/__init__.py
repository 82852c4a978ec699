"""Learners in processes of their own, which train one model together. They know nothing of Ray."""
