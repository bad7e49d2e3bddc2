"""``python -m evengrad``."""

import os
import sys

if not getattr(sys.flags, "safe_path", False):
    # The interpreter puts the working directory here. A typer.py in it is the user's; we mean the one we depend on.
    sys.path[0] = os.path.dirname(os.path.dirname(__file__))

from evengrad.cli.main import main

if __name__ == "__main__":
    main()
