"""Programs that use other people's clients, run by an environment of their own; each prints what it got as JSON."""
