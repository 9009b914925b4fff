"""Read and write models as files: Keras's formats .keras and .weights.h5, and NumPy's .npz."""

from typing import TYPE_CHECKING

from scratch import lazy

if TYPE_CHECKING:
    from scratch.saving import archive, config, entries, weights

__all__ = ["archive", "config", "entries", "weights"]
__getattr__, __dir__ = lazy.exports(__name__, archive=[], config=[], entries=[], weights=[])
