"""Colours and grey levels of single files."""

import numpy as np
from PIL import Image

from stroke_utils.base import vocabulary
from stroke_utils.data import pixels


def test_every_mode_is_read_as_rgb(tmp_path):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for mode in ("L", "RGB", "RGBA", "LA", "P"):
        image.convert(mode).save(tmp_path / "a.png")
        rgb, rgba = pixels.read_rgb(tmp_path / "a.png"), pixels.read_rgba(tmp_path / "a.png")
        assert np.array_equal(rgba[..., :3], rgb) and (rgba[..., 3] == 255).all()
        assert rgb.shape == (8, 8, 3) and rgb.dtype == np.uint8
        assert mode == "P" or np.array_equal(rgb[..., 2], np.asarray(image))


def test_packed_tells_every_colour_apart():
    rgb = np.array([[[1, 2, 3], [3, 2, 1], [0, 0, 255], [255, 0, 0]]], np.uint8)
    expected = [[0x030201, 0x010203, 0xFF0000, 0x0000FF]]
    rgba = np.dstack([rgb, np.uint8([[255, 0, 7, 255]])])
    for array in (rgb, rgba, rgba[:, ::-1][:, ::-1], np.asfortranarray(rgba)):
        assert pixels.packed(array).tolist() == expected
    assert pixels.unpacked(pixels.packed(rgba)[0]).tolist() == rgb[0].tolist()


def test_only_equal_channels_are_grey():
    values = np.array([0, 1, 127, 254, 255], np.uint8)
    rgb = np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 3)
    grey = (rgb[:, 0] == rgb[:, 1]) & (rgb[:, 1] == rgb[:, 2])
    assert np.array_equal(pixels.coloured(pixels.packed(rgb)), ~grey)


def test_grey_levels_leave_colours_out():
    rgb = np.repeat(np.arange(80, dtype=np.uint8).reshape(8, 10, 1), 3, axis=2)
    assert pixels.grey_levels(rgb) == 80
    rgb[0] = vocabulary.MARKER_COLOUR
    assert pixels.grey_levels(rgb) == 70
