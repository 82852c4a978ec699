"""What every page and API of ours shares: whom it answers, what it refuses, and how it is served on a socket and stopped."""
