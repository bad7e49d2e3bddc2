"""The command line. It alone prints, and to stderr only: stdout belongs to the watched script."""

import sys
from typing import Final

LOADED_BEFORE: Final = frozenset(sys.modules)
"""The modules that the interpreter had loaded when the command line began; see `program`."""
