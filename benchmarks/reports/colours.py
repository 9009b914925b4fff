"""The colour of each peer in all pictures."""

from benchmarks.peers.registry import KERAS, KERAS_JAX, PRODUCTS, SCRATCH

# Paul Tol's bright colour scheme. Peers without an entry are grey; the curves of scaling.png show peers with an entry.
COLOURS = {
    SCRATCH: "#4477aa",
    "numba-float32": "#4477aa",
    "numpy": "#66ccee",
    KERAS: "#ee6677",
    KERAS_JAX: "#ccbb44",
    "in-place": "#aa3377",
    PRODUCTS: "#228833",
}
OTHER_COLOUR = "#bbbbbb"
