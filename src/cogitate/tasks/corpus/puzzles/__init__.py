"""How people solve the puzzles of tasks/puzzles in words: they guess, or try, compare with the target, and go on."""
