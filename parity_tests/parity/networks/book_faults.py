"""Faults in ``book_style``, in the order of computation."""

from parity_tests.parity.networks.book_forward_faults import FORWARD, SOFTMAX
from parity_tests.parity.networks.book_layer_faults import LAYERS
from parity_tests.parity.networks.book_loss_faults import GRADIENTS, LOSSES
from parity_tests.parity.networks.book_step_faults import STEPS

FAULTS = [*FORWARD, *SOFTMAX, *LOSSES, *GRADIENTS, *LAYERS, *STEPS]
