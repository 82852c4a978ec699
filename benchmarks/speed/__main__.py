"""`python -m benchmarks.speed`."""

from benchmarks.speed.bench import main

if __name__ == "__main__":
    main()
