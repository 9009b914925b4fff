"""``python -m scratch`` with the digits as float32 numbers, as a user of Keras has them, instead of bytes.

It has the same options and prints the same result.
"""

import sys

from scratch.article import prepare_floats
from scratch.cli import main
from scratch.cli.train import ScratchProgram

if __name__ == "__main__":
    ScratchProgram.prepare = staticmethod(prepare_floats)
    sys.exit(main())
