"""``python -m benchmarks``: measure what each implementation costs."""

import sys

from benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
