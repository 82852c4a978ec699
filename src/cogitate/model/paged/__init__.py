"""How a step on a device reads the cache's blocks: from copies of them, or where they lie."""
