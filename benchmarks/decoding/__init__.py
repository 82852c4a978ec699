"""Types of generation beside each other: what fewer bits and drafts cost and gain."""
