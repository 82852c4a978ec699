"""Generation from fewer bits than weights are trained in."""
