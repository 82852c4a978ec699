"""`cogitate eval --benchmarks`: models on published benchmarks, by name, with what a reader must know beside each figure."""
