"""Models on disk and elsewhere: Hugging Face directories, GGUF files, the hub, published sizes."""
