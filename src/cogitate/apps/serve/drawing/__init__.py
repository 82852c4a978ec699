"""What is drawn of a model for a request: one engine for all, and how tokens become thinking and answer."""
