"""Tests of the cluster; those that start Ray are run by `make test-cluster`."""
