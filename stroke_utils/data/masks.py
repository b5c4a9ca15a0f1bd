"""Turns overlays into class masks: three ways to find the painted pixels, one to tell the type of stroke."""

import functools
import os

import numpy as np
from PIL import Image

from stroke_utils.base import files, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data.pixels import coloured, packed, painted_types, read_rgb, unpacked

METHODS = vocabulary.MASK_METHODS

PAPER_OPTIONS = {"hue_to": 10, "hue_from": 160, "saturation": 100, "value": 50}
"""Options of the paper's rule. It gives the hues; the least saturation and value are ours."""

_PIECE = 1 << 14  # pixels

_MARKER = packed(np.uint8(vocabulary.MARKER_COLOUR))


def extract(
    overlay: np.ndarray, original: np.ndarray | None = None, method: str = "difference", **options: int
) -> np.ndarray:
    """Find the painted lesion in an overlay and tell its type by the colour of its border.

    Where borders of both types occur, each pixel has the type of its own paint, so that touching lesions keep theirs.

    Args:
        overlay: uint8 array (H, W, 3 or 4).
        original: the slice without paint, same height and width; needed by "difference" only.
        method: "difference" (pixels that differ from the original), "border" (coloured pixels but the marker's) or
            "paper" (the paper's HSV rule).
        options: keyword arguments of the method: those of :func:`border_rule` or :func:`paper_rule`.

    Returns:
        uint8 array (H, W): 0 background, 1 ischemia, 2 hemorrhage.

    Raises:
        UserError: unknown method.
        ValueError: original missing or of another size, an overlay that is not its original plus paint, or paint
            without a border of either type.
    """
    if method not in METHODS:
        raise UserError(f"Unknown method {method!r}; the extractors are {', '.join(METHODS)}.")
    pixels = packed(overlay)
    # Paint is never grey and nearly all of a scan is, so each rule looks at the few coloured pixels alone. Found piece
    # by piece: temporaries that fit the cache cost half the time.
    flat = pixels.ravel()
    where = np.concatenate(
        [np.flatnonzero(coloured(flat[k : k + _PIECE])) + k for k in range(0, max(flat.size, 1), _PIECE)]
    )
    colours = flat[where]
    rules = {"difference": functools.partial(_difference_rule, pixels, where, original)}
    rule = rules.get(method) or {"border": border_rule, "paper": paper_rule}[method]
    painted = where[rule(colours, **options)]
    classes = np.zeros(pixels.size, np.uint8)
    if len(painted):
        types = painted_types(colours)
        if not types:
            raise ValueError("The paint has no border of either type, so the type of stroke is unknown.")
        one = vocabulary.MASK_CLASSES.index(types[0])
        classes[painted] = one if len(types) == 1 else _type_of_each(pixels.ravel()[painted])
    return classes.reshape(pixels.shape)


def _difference_rule(
    pixels: np.ndarray, where: np.ndarray, original: np.ndarray | None, colours: np.ndarray
) -> np.ndarray:
    """Tell which coloured pixels differ from the original, exactly; markers differ in no picture of the release."""
    if original is None or original.shape[:2] != pixels.shape:
        size = "none" if original is None else "×".join(map(str, original.shape[:2]))
        raise ValueError(f"The difference needs an original of the overlay's size; found {size}.")
    changed = (pixels != packed(original)).ravel()
    painted = changed[where]
    strange = np.count_nonzero(changed) - np.count_nonzero(painted)
    if strange:
        raise ValueError(
            f"{strange} grey pixels of the overlay differ from the original: another picture, or saved anew with loss."
        )
    return painted & (colours != _MARKER)


def border_rule(colours: np.ndarray, least: int = 64) -> np.ndarray:
    """Tell which colours are paint: red fill and border, known without the original, but not the marker's magenta.

    The scan is grey (chroma 0) and every fill and border colour has a chroma of 128 or more, so ``least`` may be
    anywhere between. Numbers of :func:`stroke_utils.data.pixels.packed`, uint32 array (n,) in, bool array (n,) out.
    """
    return (_chroma(colours) >= least) & (colours != _MARKER)


def _chroma(colours: np.ndarray) -> np.ndarray:
    """Return the largest minus the smallest channel, uint8 (n,), without numpy's reduction over so short an axis."""
    red, green, blue = unpacked(colours).T
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def paper_rule(
    colours: np.ndarray,
    hue_to: int = PAPER_OPTIONS["hue_to"],
    hue_from: int = PAPER_OPTIONS["hue_from"],
    saturation: int = PAPER_OPTIONS["saturation"],
    value: int = PAPER_OPTIONS["value"],
) -> np.ndarray:
    """Tell which colours are red by the paper's rule in PIL's HSV, where hue runs from 0 to 255.

    Hue 0 to ``hue_to`` or from ``hue_from`` to 255 is the paper's; it gives no numbers for the least saturation and
    value, so these are ours. A saturation of 0 or less would take grey too, and is refused.

    Args:
        colours: numbers of :func:`stroke_utils.data.pixels.packed`, uint32 array (n,), none of them grey.
        hue_to: see above.
        hue_from: see above.
        saturation: the least that counts.
        value: the least that counts.

    Raises:
        UserError: a saturation below 1.
    """
    if saturation < 1:
        raise UserError(f"The paper's rule needs a least saturation of 1 or more, found {saturation}: grey has 0.")
    if not len(colours):
        return np.zeros(0, bool)
    hue, sat, val = np.asarray(Image.fromarray(unpacked(colours)[None]).convert("HSV"))[0].T
    return ((hue <= hue_to) | (hue >= hue_from)) & (sat >= saturation) & (val >= value)


def from_mask_file(rgb: np.ndarray) -> np.ndarray:
    """Read the organiser's MASK colours: RGB uint8 array (H, W, 3) in, uint8 array (H, W) of 0/1/2 out."""
    pixels, classes = packed(rgb), np.zeros(rgb.shape[:2], np.uint8)
    for value, name in enumerate(vocabulary.MASK_CLASSES):
        classes[pixels == packed(np.uint8(vocabulary.MASK_COLOURS[name]))] = value
    return classes


def write_class_mask(target: str | os.PathLike, classes: np.ndarray) -> None:
    """Write a class mask, uint8 (H, W) of 0/1/2, as a palette PNG in the organiser's mask colours."""
    image = Image.fromarray(classes)
    image.putpalette([channel for name in vocabulary.MASK_CLASSES for channel in vocabulary.MASK_COLOURS[name]])
    with files.atomic_path(target) as temporary:
        image.save(temporary)


def read_class_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a file of :func:`write_class_mask`, or one of the organiser's MASK files, as uint8 (H, W) of 0/1/2."""
    return from_mask_file(read_rgb(path))


def _type_of_each(colours: np.ndarray) -> np.ndarray:
    """Give painted pixels, numbers of `pixels.packed` (n,), the mask value of their own paint.

    A border tells by its colour. Fill has a chroma of 128 where red was laid on once, as on ischemia, and of 192 where
    twice, as on hemorrhage.
    """
    values = np.where(_chroma(colours) < 160, 1, 2).astype(np.uint8)
    for name, borders in vocabulary.BORDER_COLOURS.items():
        values[np.isin(colours, packed(np.uint8(borders)))] = vocabulary.MASK_CLASSES.index(name)
    return values
