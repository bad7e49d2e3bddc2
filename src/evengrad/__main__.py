"""``python -m evengrad``."""

from evengrad.cli.main import main

if __name__ == "__main__":
    main()
