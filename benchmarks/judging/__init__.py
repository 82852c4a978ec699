"""How good a judge and written tests are, on data whose truth is known. Each file is one measurement with intervals."""
