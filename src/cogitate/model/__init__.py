"""The architecture: Llama, Qwen and DeepSeek-V3 by one decoder. `transformer.py` is the place to start."""
