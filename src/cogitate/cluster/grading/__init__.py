"""Grading on all nodes of a cluster: worker (what a node's process does), grader (the driver's end of all of them)."""
