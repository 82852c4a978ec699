"""Settings of the kinds of stages."""
