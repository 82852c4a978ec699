"""Tests of generation by vLLM; those that start it are run by `make test-more-cluster`."""
