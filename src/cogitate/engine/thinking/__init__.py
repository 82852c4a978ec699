"""Thinking budgets: how long a completion thinks, exact to the token."""
