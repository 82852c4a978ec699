"""Our server beside other people's, asked by one client, and under load for a long time.

python -m benchmarks.serving MODEL [--vllm PYTHON] [--llama-server PROGRAM --gguf FILE]
python -m benchmarks.serving.load MODEL --minutes 10
"""
