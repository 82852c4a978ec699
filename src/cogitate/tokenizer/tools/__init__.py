"""Functions that a model may call: how a conversation names them, and how calls are written and read."""
