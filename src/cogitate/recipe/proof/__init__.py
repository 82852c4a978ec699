"""The proof that a killed run ends with the same bytes."""
