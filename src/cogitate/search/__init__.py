"""Several attempts at one problem, and how one answer is chosen: votes, best-of-n, step beams, tree search, at counted cost."""
