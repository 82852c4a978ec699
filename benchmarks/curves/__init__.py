"""How cost grows, what the cache holds, and whether results are those of the reference libraries: `make bench-curves`."""
