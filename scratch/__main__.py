"""Run ``python -m scratch``."""

import sys

from scratch.cli import main

if __name__ == "__main__":
    sys.exit(main())
