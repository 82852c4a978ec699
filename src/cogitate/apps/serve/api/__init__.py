"""The forms of the API: what clients send, and how they are answered."""
