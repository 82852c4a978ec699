"""The command line: parse, compose a backend, call one function. Every other import waits until its command runs."""

# In the order that the help shows.
# isort: off
from cogitate.cli.app import app, main
from cogitate.cli import runs, planning, models, searching, grading, reviewing
# isort: on

__all__ = ["app", "grading", "main", "models", "planning", "reviewing", "runs", "searching"]
