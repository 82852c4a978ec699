"""Built-in tasks: each draws problems whose answers can be checked."""
