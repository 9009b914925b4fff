"""What programs ask ``keras.backend`` for: ``clear_session``, and three settings, which scratch has one value of."""

from scratch.utils import clear_session as clear_session


def epsilon() -> float:
    """Return 1e-7, at which losses clip probabilities."""
    return 1e-7


def floatx() -> str:
    """Return 'float32', the dtype of a model without an own one."""
    return "float32"


def image_data_format() -> str:
    """Return 'channels_last': images are (N, height, width) or (N, height, width, channels)."""
    return "channels_last"
