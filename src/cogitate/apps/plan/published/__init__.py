"""Published figures: rows of them, factors fitted on some, errors on all."""
