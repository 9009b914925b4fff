"""``python -m scratch``: see ``scratch.cli``."""

import sys

from scratch.cli import main

if __name__ == "__main__":
    sys.exit(main())
