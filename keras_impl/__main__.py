"""Run ``python -m keras_impl``."""

import sys

from keras_impl.cli import main

if __name__ == "__main__":
    sys.exit(main())
