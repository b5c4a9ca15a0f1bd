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


def read_rgba(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to RGBA, the mode of the release's files, as uint8 array (height, width, 4).

    Raises:
        OSError, SyntaxError, ValueError: the file can't be decoded.
    """
    with Image.open(path) as image:
        return np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))


def packed(rgb: np.ndarray) -> np.ndarray:
    """Give every pixel of an RGB or RGBA uint8 array (…, 3 or 4) as one number, so that a colour is one comparison.

    Uint32 array (…): red in the lowest byte, then green, then blue; alpha is dropped. Where the pixels already lie in
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


def painted_types(rgb: np.ndarray) -> list[str]:
    """Tell which stroke types a mask or an overlay shows, by exact border and mask colours, the most frequent first.

    The border colours of an overlay contain the fill colours of the organiser's masks, so both kinds of file are
    read alike. RGB or RGBA uint8 array (…, 3 or 4) in, subset of ``vocabulary.TYPES`` out.
    """
    pixels = packed(rgb)
    return types_of_colours(pixels[coloured(pixels)])


def types_of_colours(pixels: np.ndarray) -> list[str]:
    """Do what :func:`painted_types` does on numbers of :func:`packed`, uint32 array (n,)."""
    counts = {
        name: sum(int(np.count_nonzero(pixels == code)) for code in packed(np.uint8(colours)))
        for name, colours in vocabulary.BORDER_COLOURS.items()
    }
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])


def grey_levels(rgb: np.ndarray) -> int:
    """Count the different grey values among the uncoloured pixels of an RGB uint8 array (H, W, 3).

    The release maps a CT window of w Hounsfield units to 0–255 in w steps, so this is the width of the window.
    """
    grey = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
    return len(np.unique(rgb[..., 0][grey]))
