"""Programs forked from a warm Python, each into namespaces of its own: the quick way of the first level."""
