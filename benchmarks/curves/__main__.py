"""`python -m benchmarks.curves`."""

from benchmarks.curves.bench import main

if __name__ == "__main__":
    main()
