"""Thirty kinds of pictures that are no slice to answer: what a reader must not take for one."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from stroke_utils.data import regions


def _grey(values: np.ndarray) -> np.ndarray:
    """Return values of any range, (H, W), as a grey picture, uint8 (H, W, 3)."""
    low, high = values.min(), values.max()
    scaled = (values - low) / (high - low or 1) * 255
    return np.repeat(np.uint8(scaled)[..., None], 3, axis=2)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], widths: tuple[float, ...]) -> np.ndarray:
    """Return noise that is rough at several scales, as a photo is, float of a shape (H, W)."""
    layers = (width * ndimage.gaussian_filter(rng.standard_normal(shape), width) for width in widths)
    return sum(layers)


def _photo(rgb, rng):
    return np.stack([_grey(_smooth(rng, rgb.shape[:2], (2, 8, 32)))[..., 0] for _ in range(3)], axis=2)


def _grey_photo(rgb, rng):
    return _grey(_smooth(rng, rgb.shape[:2], (1, 4, 16, 64)))


def _disc(rgb, y, x, high, wide):
    row, column = np.ogrid[-1 : 1 : rgb.shape[0] * 1j, -1 : 1 : rgb.shape[1] * 1j]
    return ((row - y) / high) ** 2 + ((column - x) / wide) ** 2 <= 1


def _overlay(rgb, rng):
    painted, lesion = rgb.copy(), _disc(rgb, -0.1, 0.2, 0.15, 0.12)
    painted[lesion] = np.uint8(rgb[lesion] * 0.5 + np.array([128, 0, 0]))
    painted[lesion & ~ndimage.binary_erosion(lesion)] = (0, 0, 255)
    return painted


def _mask(rgb, rng):
    drawn = np.zeros_like(rgb)
    drawn[_disc(rgb, 0.1, -0.2, 0.2, 0.15)] = (0, 255, 0)
    return drawn


def _colour_map(rgb, rng):
    grey = rgb[..., 0].astype(float)
    return np.uint8(np.stack([grey, 255 * np.sin(np.pi * grey / 255), 255 - grey], axis=2))


def _page(rgb, rng):
    page = Image.new("RGB", rgb.shape[1::-1], "white")
    draw = ImageDraw.Draw(page)
    for y in range(20, rgb.shape[0] - 20, 16):
        draw.text((20, y), "".join(rng.choice(list("abcdefghij klmno pqrst"), 70)), fill="black")
    return np.asarray(page)


def _chart(rgb, rng):
    page = Image.new("RGB", rgb.shape[1::-1], "white")
    draw, (height, width) = ImageDraw.Draw(page), rgb.shape[:2]
    draw.line([(40, 20), (40, height - 40), (width - 20, height - 40)], fill="black", width=2)
    heights = height / 2 + np.cumsum(rng.standard_normal(40)) * height / 40
    draw.line([(40 + k * (width - 60) / 40, y) for k, y in enumerate(heights)], fill="black", width=3)
    return np.asarray(page)


def _localizer(rgb, rng):
    ball = np.clip(1 - np.hypot(*np.ogrid[-1 : 1 : rgb.shape[0] * 1j, -1.2 : 0.8 : rgb.shape[1] * 1j]), 0, None)
    neck = 0.3 * _disc(rgb, 0.8, 0.1, 0.5, 0.3) + 0.15 * _disc(rgb, 1, 0, 0.4, 1)
    return _grey(np.sqrt(ball) + ndimage.gaussian_filter(neck, 6) + 0.02 * rng.standard_normal(rgb.shape[:2]))


def _body(rgb, rng, holes, bright):
    drawn = np.where(_disc(rgb, 0, 0, 0.65, 0.9), 110.0, 0.0)
    for y, x, high, wide in holes:
        drawn[_disc(rgb, y, x, high, wide)] = 0
    for y, x, high, wide in bright:
        drawn[_disc(rgb, y, x, high, wide)] = 255
    drawn[drawn > 0] += rng.normal(0, 12, np.count_nonzero(drawn))
    return np.repeat(np.uint8(np.clip(drawn, 0, 255))[..., None], 3, axis=2)


def _chest(rgb, rng):
    return _body(rgb, rng, [(0, -0.45, 0.45, 0.28), (0, 0.45, 0.45, 0.28)], [(0.45, 0, 0.1, 0.1)])


def _abdomen(rgb, rng):
    return _body(rgb, rng, [(-0.3, 0.2, 0.06, 0.1)], [(0.4, 0, 0.12, 0.12), (-0.1, -0.4, 0.3, 0.3)])


def _mr(rgb, rng):
    grey, inside = rgb[..., 0].astype(float), regions.whole_head(rgb[..., 0])
    turned = np.where(grey >= 250, 20, 230 - 0.8 * grey)
    skin = inside & ~ndimage.binary_erosion(inside, iterations=8)
    return _grey(ndimage.gaussian_filter(np.where(skin, 255, turned) * inside, 1))


def _turned(quarters: int) -> Callable:
    return lambda rgb, rng: np.rot90(rgb, quarters).copy()


def _placed(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Return a slice shrunken by a factor, in the middle of a black picture of its size, or cut out of an enlarged."""
    height, width = rgb.shape[:2]
    sides = max(8, int(width * factor)), max(8, int(height * factor))
    other = np.asarray(Image.fromarray(rgb).resize(sides))
    if factor > 1:
        y, x = (other.shape[0] - height) // 2, (other.shape[1] - width) // 2
        return other[y : y + height, x : x + width]
    drawn = np.zeros_like(rgb)
    y, x = (height - other.shape[0]) // 2, (width - other.shape[1]) // 2
    drawn[y : y + other.shape[0], x : x + other.shape[1]] = other
    return drawn


def _four(rgb, rng):
    half = np.asarray(Image.fromarray(rgb).resize((rgb.shape[1] // 2, rgb.shape[0] // 2)))
    return np.tile(half, (2, 2, 1))


def _two(rgb, rng):
    half = np.asarray(Image.fromarray(rgb).resize((rgb.shape[1] // 2, rgb.shape[0])))
    return np.tile(half, (1, 2, 1))


def _screen(rgb, rng):
    page = Image.new("RGB", rgb.shape[1::-1], (60, 60, 60))
    page.paste(Image.fromarray(rgb).resize((rgb.shape[1] // 2, rgb.shape[0] // 2)), (rgb.shape[1] // 3, 40))
    draw = ImageDraw.Draw(page)
    for y in range(40, rgb.shape[0] - 40, 14):
        draw.text((8, y), "WL 40 WW 80  kV 120", fill="white")
    return np.asarray(page)


def _streaks(rgb, rng):
    grey = rgb[..., 0].astype(float)
    angle = np.arctan2(*(np.indices(grey.shape) - np.reshape(np.array(grey.shape) * 0.45, (2, 1, 1))))
    rays = np.interp(angle, np.linspace(-np.pi, np.pi, 120), rng.normal(0, 130, 120))
    return np.repeat(np.uint8(np.clip(grey + rays, 0, 255))[..., None], 3, axis=2)


def _bone_window(rgb, rng):
    return np.uint8(np.where(rgb >= 250, ndimage.gaussian_filter(rgb, (4, 4, 0)), np.where(rgb > 0, 70, 0)))


def _vessels(rgb, rng):
    drawn, inside = rgb.copy(), ndimage.binary_erosion(regions.whole_head(rgb[..., 0]), iterations=30)
    lines = np.abs(_smooth(rng, rgb.shape[:2], (6, 12)))
    drawn[(lines < np.quantile(lines[inside], 0.12) if inside.any() else lines < 0) & inside] = 255
    return drawn


def _half(rgb, rng):
    drawn = rgb.copy()
    drawn[rgb.shape[0] // 2 :] = 0
    return drawn


def _mosaic(rgb, rng):
    return np.asarray(Image.fromarray(rgb).resize((12, 12), Image.Resampling.BOX).resize(rgb.shape[1::-1], 0))


def _squeezed(rgb, rng):
    drawn = np.zeros_like(rgb)
    small = np.asarray(Image.fromarray(rgb).resize((rgb.shape[1], rgb.shape[0] // 3)))
    drawn[rgb.shape[0] // 3 :][: small.shape[0]] = small
    return drawn


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "photo": _photo,
    "overlay of a lesion": _overlay,
    "mask of a lesion": _mask,
    "colour map": _colour_map,
    "black picture": lambda rgb, rng: np.zeros_like(rgb),
    "white picture": lambda rgb, rng: np.full_like(rgb, 255),
    "noise": lambda rgb, rng: np.repeat(rng.integers(0, 256, (*rgb.shape[:2], 1), np.uint8), 3, axis=2),
    "ramp of greys": lambda rgb, rng: _grey(np.add.outer(np.arange(rgb.shape[0]), np.arange(rgb.shape[1]))),
    "checkerboard": lambda rgb, rng: _grey(np.add.outer(*map(np.arange, rgb.shape[:2])) // 32 % 2 * 1.0),
    "page of text": _page,
    "chart": _chart,
    "grey photo": _grey_photo,
    "localizer": _localizer,
    "chest": _chest,
    "abdomen": _abdomen,
    "MR": _mr,
    "inverted greys": lambda rgb, rng: 255 - rgb,
    "head upside down": _turned(2),
    "head on its side": _turned(1),
    "four slices": _four,
    "two slices": _two,
    "screenshot": _screen,
    "cut out of a slice": lambda rgb, rng: _placed(rgb, 3.0),
    "tiny head": lambda rgb, rng: _placed(rgb, 0.3),
    "squeezed head": _squeezed,
    "metal streaks": _streaks,
    "bone window": _bone_window,
    "bright vessels": _vessels,
    "half a slice": _half,
    "mosaic": _mosaic,
}
"""What is made of a slice, uint8 (H, W, 3), and a generator of random numbers, by the name of the kind."""


def strange(rgb: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Make one picture of each of the :data:`KINDS`, uint8 (H, W, 3), from a slice of the same form."""
    return {name: make(rgb, np.random.default_rng([seed, k])) for k, (name, make) in enumerate(KINDS.items())}
