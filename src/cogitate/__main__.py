"""`python -m cogitate` is the command `cogitate`."""

from cogitate.cli import main

if __name__ == "__main__":
    main()
