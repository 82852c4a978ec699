"""How fast this machine decodes, learns and pretrains: `make bench`."""
