"""Soft-edged shapes on a pixel grid: the drawing tools of the phantom's anatomy."""

import numpy as np


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """Return the coverage (0–1) of a shape from its signed distance (negative inside) and the width of its edge."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def fade(value: float, low: float, high: float, edge: float) -> float:
    """Return 1 where ``value`` lies between ``low`` and ``high``, falling to 0 over ``edge`` beyond them."""
    return float(np.clip(min(value - low, high - value) / edge + 1.0, 0.0, 1.0))


class Grid:
    """Pixel grid with head coordinates in millimetres: x to the image's right, y to the back of the head.

    Shapes are evaluated only in the box of pixels they can touch; every method returns that box (a pair of
    slices) and an array of the box's size.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, to_pixel, margin: float):
        self.x, self.y, self.to_pixel, self.margin = x, y, to_pixel, margin

    def box(self, points: np.ndarray, reach: float) -> tuple:
        """Return the slices of the pixels within ``reach`` mm of the rectangle around ``points`` (n, 2)."""
        (x0, y0), (x1, y1) = points.min(axis=0) - reach - self.margin, points.max(axis=0) + reach + self.margin
        rows, columns = self.to_pixel(np.array([x0, x0, x1, x1]), np.array([y0, y1, y0, y1]))
        height, width = self.x.shape
        return (
            slice(max(0, int(rows.min())), min(height, int(rows.max()) + 2)),
            slice(max(0, int(columns.min())), min(width, int(columns.max()) + 2)),
        )

    def chain(self, points, radii) -> tuple:
        """Return box and signed distance of a chain of balls: a polyline whose radius changes along it."""
        points = np.asarray(points, dtype=float)
        radii = np.broadcast_to(np.asarray(radii, dtype=float), len(points))
        box = self.box(points, float(radii.max()) + 3.0)
        x, y = self.x[box], self.y[box]
        best = np.full(x.shape, 1e3, dtype=np.float32)
        for (xa, ya), (xb, yb), ra, rb in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            dx, dy = np.float32(xb - xa), np.float32(yb - ya)
            along = np.clip(((x - np.float32(xa)) * dx + (y - np.float32(ya)) * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
            away = np.hypot(x - np.float32(xa) - along * dx, y - np.float32(ya) - along * dy)
            np.minimum(best, away - (np.float32(ra) + along * np.float32(rb - ra)), out=best)
        return box, best

    def ellipse(self, centre, axes, turn: float = 0.0) -> tuple:
        """Return box and approximate signed distance of an ellipse; ``turn`` in degrees, x towards y."""
        reach = float(max(axes)) + 3.0
        box = self.box(np.asarray([centre], dtype=float), reach)
        x, y = self.x[box] - np.float32(centre[0]), self.y[box] - np.float32(centre[1])
        cos, sin = np.float32(np.cos(np.deg2rad(turn))), np.float32(np.sin(np.deg2rad(turn)))
        radial = np.hypot((x * cos + y * sin) / np.float32(axes[0]), (-x * sin + y * cos) / np.float32(axes[1]))
        return box, (radial - 1.0) * np.float32(min(axes))


def blend(target: np.ndarray, box: tuple, coverage: np.ndarray, value) -> None:
    """Paint ``value`` over ``target`` in ``box`` with the given coverage."""
    part = target[box]
    part += coverage * (value - part)


def cover(target: np.ndarray, box: tuple, coverage: np.ndarray) -> None:
    """Join a shape to a coverage map in place: the larger coverage wins."""
    part = target[box]
    np.maximum(part, coverage, out=part)
