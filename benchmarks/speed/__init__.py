"""How fast this machine decodes, learns and pretrains: `make bench`."""

import cogitate  # noqa: F401  # before torch, which reads when it is imported how long waiting threads stay awake
