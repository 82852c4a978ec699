"""Serving models over HTTP, with their thinking visible, apart from the answer, and counted."""
