"""The complete recipe at several seeds, pooled into pages whose claims are decided by intervals: `make evidence`."""
