"""The protocols of `backend.py` over Ray, vLLM and FSDP2; the only place that imports them."""
