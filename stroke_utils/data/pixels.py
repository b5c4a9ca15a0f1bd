"""Reads what a PNG holds: its colours, the stroke types painted in it, its grey levels."""

import os

import numpy as np
from PIL import Image

from stroke_utils.base import files, vocabulary


def read_rgb(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to RGB, whatever its mode; alpha is dropped.

    Returns:
        uint8 array (height, width, 3).

    Raises:
        UserError: the file is gone.
        OSError, SyntaxError, ValueError: it can't be decoded.
    """
    with files.there(), Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def read_rgba(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to RGBA, the mode of the release's files, as uint8 array (height, width, 4).

    Raises:
        UserError: the file is gone.
        OSError, SyntaxError, ValueError: it can't be decoded.
    """
    with files.there(), Image.open(path) as image:
        return np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))


def packed(rgb: np.ndarray) -> np.ndarray:
    """Give every pixel of an RGB or RGBA uint8 array (…, 3 or 4) as one number, so that a colour is one comparison.

    Uint32 array (…): red in the lowest byte, then green, then blue; alpha is dropped. Where the pixels already are in
    memory like that, as those of :func:`read_rgba` do, it costs next to nothing.
    """
    if rgb.shape[-1] == 4 and rgb.flags.c_contiguous:
        return rgb.view("<u4")[..., 0] & np.uint32(0xFFFFFF)
    whole = np.zeros((*rgb.shape[:-1], 4), np.uint8)
    whole[..., :3] = rgb[..., :3]
    return whole.view("<u4")[..., 0]


def unpacked(pixels: np.ndarray) -> np.ndarray:
    """Turn numbers of :func:`packed`, uint32 array (n,), back into a uint8 RGB array (n, 3)."""
    return np.ascontiguousarray(pixels, "<u4").view(np.uint8).reshape(-1, 4)[:, :3]


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Tell which numbers of :func:`packed` are not grey; bool array of their shape."""
    unlike = pixels >> np.uint32(8)
    unlike ^= pixels
    unlike &= np.uint32(0xFFFF)
    return unlike != 0


def painted_types(colours: np.ndarray, numbers: np.ndarray | None = None) -> list[str]:
    """Tell which stroke types a mask or an overlay shows, by exact border and mask colours, the most frequent first.

    The border colours of an overlay contain the fill colours of the organiser's masks, so both kinds of file are
    read alike.

    Args:
        colours: numbers of :func:`packed`, uint32 array (n,): pixels, or the different colours of a picture.
        numbers: how many pixels each of them counts for, int array (n,); None: one.

    Returns:
        subset of ``vocabulary.TYPES``.
    """
    counts = {}
    for name, borders in vocabulary.BORDER_COLOURS.items():
        hits = [colours == code for code in packed(np.uint8(borders))]
        counts[name] = int(sum(np.count_nonzero(hit) if numbers is None else numbers[hit].sum() for hit in hits))
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])


def grey_levels(rgb: np.ndarray) -> int:
    """Count the different grey values among the uncoloured pixels of an RGB uint8 array (H, W, 3).

    The release maps a CT window of w Hounsfield units to 0–255 in w steps, so this is the width of the window.
    """
    return len(np.unique(rgb[..., 0][~coloured(packed(rgb))]))
