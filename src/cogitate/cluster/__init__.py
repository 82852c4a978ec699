"""The protocols of `backend.py` by several processes: generators over Ray, learners over torch.distributed. The only place that
imports Ray."""
