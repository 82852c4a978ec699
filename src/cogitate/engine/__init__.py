"""Generation: continuous batching over our own decoder, sampling, speculation."""
