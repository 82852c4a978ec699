"""Does RL select those who search, or make them? Base and R1-Zero on the same puzzles, many times each."""
