"""`python -m refinery`."""

from refinery.cli import main

if __name__ == "__main__":
    main()
