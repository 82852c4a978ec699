"""`python -m benchmarks.peers`."""

from benchmarks.peers.bench import main

if __name__ == "__main__":
    main()
