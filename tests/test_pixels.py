"""Colours and grey levels of single files."""

import numpy as np
from PIL import Image

from stroke_utils import pixels, vocabulary


def test_every_mode_is_read_as_rgb(tmp_path):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for mode in ("L", "RGB", "RGBA", "LA", "P"):
        image.convert(mode).save(tmp_path / "a.png")
        rgb = pixels.read_rgb(tmp_path / "a.png")
        assert rgb.shape == (8, 8, 3) and rgb.dtype == np.uint8
        assert mode == "P" or np.array_equal(rgb[..., 2], np.asarray(image))


def test_packed_tells_every_colour_apart():
    rgb = np.array([[[1, 2, 3], [3, 2, 1], [0, 0, 255], [255, 0, 0]]], np.uint8)
    assert pixels.packed(rgb).tolist() == [[0x010203, 0x030201, 0x0000FF, 0xFF0000]]


def test_grey_levels_leave_colours_out():
    rgb = np.repeat(np.arange(80, dtype=np.uint8).reshape(8, 10, 1), 3, axis=2)
    assert pixels.grey_levels(rgb) == 80
    rgb[0] = vocabulary.MARKER_COLOUR
    assert pixels.grey_levels(rgb) == 70
