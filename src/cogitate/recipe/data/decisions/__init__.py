"""What people decided in the studio: an append-only log chained by hashes, what of it stands, and where it went."""
