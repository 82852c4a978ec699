"""The protocols of `backend.py` over Ray: generators are processes of a cluster. The only place that imports Ray."""
