"""Reads what a PNG holds: its colours, the stroke types painted in it, its grey levels."""

import os

import numpy as np
from PIL import Image

from stroke_utils import vocabulary


def read_rgb(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to RGB, whatever its mode; alpha is dropped.

    Returns:
        uint8 array (height, width, 3).

    Raises:
        OSError, SyntaxError, ValueError: the file can't be decoded.
    """
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def packed(rgb: np.ndarray) -> np.ndarray:
    """Give every pixel of an RGB uint8 array (H, W, 3) as one number, so that a colour is one comparison."""
    channels = rgb[..., :3].astype(np.uint32)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]


def painted_types(rgb: np.ndarray) -> list[str]:
    """Tell which stroke types a mask or an overlay shows, by exact border and mask colours, the most frequent first.

    The border colours of an overlay contain the fill colours of the organiser's masks, so both kinds of file are
    read alike. RGB uint8 array (H, W, 3) in, subset of ``vocabulary.TYPES`` out.
    """
    pixels, counts = packed(rgb), {}
    for name, colours in vocabulary.BORDER_COLOURS.items():
        codes = [r << 16 | g << 8 | b for r, g, b in colours]
        counts[name] = sum(int(np.count_nonzero(pixels == code)) for code in codes)
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])


def grey_levels(rgb: np.ndarray) -> int:
    """Count the different grey values among the uncoloured pixels of an RGB uint8 array (H, W, 3).

    The release maps a CT window of w Hounsfield units to 0–255 in w steps, so this is the width of the window.
    """
    grey = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
    return len(np.unique(rgb[..., 0][grey]))
