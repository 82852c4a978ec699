"""Equality of answers: `statement.py` finds, `reading.py` reads by `parser/`, `compare.py` compares by `decide/`."""
