"""Base models of one family at several sizes and lengths of training."""
