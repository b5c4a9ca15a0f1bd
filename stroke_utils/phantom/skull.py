"""The bones, air cells and orbits of the low slices, and the frontal sinus."""

import numpy as np

from .anatomy import AIR, BONE, FAT, Head, outline
from .shapes import Grid, blend, fade, soft


def add_skull_base(head: Head) -> None:
    """List the bones, air cells and orbits of the low slices, and the frontal sinus."""
    patient, grid, z = head.patient, head.grid, head.height
    x, y = grid.x, grid.y
    front = z - 60 * patient.pitch
    everything = (slice(None), slice(None))
    cells = patient.waves["cells"](x, y, z)

    def add(shape, value, strength=1.0, where=None, edge=1.2):
        box, distance = shape
        coverage = np.float32(strength) * soft(distance, edge)
        head.late.append((box, coverage if where is None else coverage * where[box], np.float32(value)))

    ridge = float(np.clip((19 - z) / 20, 0, 1))
    if ridge > 0:
        for side in (-1, 1):
            slope = ridge * np.array([5.0, 5.5, 13.0]) + np.array([0.0, 0.2, 1.0])
            add(
                grid.chain([(side * 9, 3), (side * 36, 15), (side * 63, 28)], slope),
                BONE,
                min(1.0, 0.25 + 1.5 * ridge),
                edge=3.0,
            )
            if ridge > 0.4:
                air = soft(0.25 - cells, 0.3)
                add(grid.ellipse((side * 62, 30), (9, 12)), -700, ridge, where=air)
                add(grid.ellipse((side * 40, 15), (5, 3)), -600, ridge, where=air)
    wing = float(np.clip((21 - z) / 16, 0, 1))
    if wing > 0:
        for side in (-1, 1):
            add(
                grid.chain([(side * 10, -26), (side * 30, -36), (side * 58, -50)], wing * np.array([4.0, 2.5, 6.0])),
                BONE,
                wing,
                edge=2.5,
            )
        body = float(np.clip((13 - z) / 8, 0, 1))
        if body > 0:
            add(grid.ellipse((0, -22), (15, 17)), BONE, body, edge=3.0)
            for side in (-1, 1):
                add(
                    grid.ellipse((side * 6.5, -25), (5.5, 9)),
                    AIR,
                    body * fade(z, -20, 9, 4),
                    where=soft(-0.9 - cells, 0.4),
                )
    recede = float(np.clip((22 - front) / 24, 0, 1))
    if recede > 0:
        side = np.abs(x)
        wall = -82 + 46 * recede - np.clip(side - 12, 0, None) * 0.75
        face = soft(y - wall, 3.0) * soft(head.radius - head.inner - 4, 2.0)
        head.late.append((everything, face * np.float32(min(1, 3 * recede)), np.float32(BONE)))
        add(grid.chain([(0, -84), (0, -44)], [11, 6]), AIR, recede, where=soft(-0.2 - cells, 0.3) * face)
        for sign in (-1, 1):
            _orbit(head, add, sign, recede)
        if recede > 0.55:
            _nose(head, grid, recede)
    height, half = patient.sinus
    if 8 < front < 12 + height:
        level = 1 - (front / (14 + height)) ** 2
        edge = -outline(patient, z)[1][1024] + 5.5
        for sign, wide in ((-1, 1.0), (1, 0.55 + 0.5 * abs(patient.asymmetry) * 5)):
            reach = max(3.0, half * level * wide)
            add(grid.chain([(sign * 2.5, edge), (sign * reach, edge + 0.006 * reach**2 + 0.5)], [2.4, 1.6]), AIR)


def _orbit(head: Head, add, side: int, recede: float) -> None:
    """List one orbit: fat cone, globe with lens, muscles and optic nerve."""
    grid = head.grid
    size = 0.45 + 0.55 * recede
    apex, mouth = (side * 13, -82 + 40 * recede), (side * 33, -78)
    add(grid.chain([apex, (side * 24, 0.5 * (apex[1] + mouth[1])), mouth], np.array([2, 10, 15.5]) * size), FAT)
    if recede > 0.5:
        add(grid.chain([apex, (side * 30, -74)], [1.2, 1.6]), 30)
        add(grid.chain([(side * 14, -52), (side * 19, -66), (side * 20, -78)], [1.0, 1.9, 1.0]), 45)
        add(grid.chain([(side * 20, -50), (side * 39, -62), (side * 46, -76)], [1.0, 1.9, 1.0]), 45)
        globe = 12.0 * min(1.0, 0.5 + 0.5 * recede)
        add(grid.ellipse((side * 33, -84), (globe, globe)), 58)
        add(grid.ellipse((side * 33, -84), (globe - 1.6, globe - 1.6)), 12)
        add(grid.ellipse((side * 33, -84 - globe + 4), (4, 2)), 75)


def _nose(head: Head, grid: Grid, recede: float) -> None:
    """Paint the nose before the face, outside the skull's outline."""
    tip = -98 - 12 * head.patient.nose
    box, distance = grid.chain([(0, -86), (0, tip)], [10 * recede, 5 * recede])
    blend(head.outside, box, soft(distance, 1.0), np.float32(30))
    for side in (-1, 1):
        box, distance = grid.chain([(side * 3.5, -88), (side * 2.5, tip + 7)], [2.0, 1.2])
        blend(head.outside, box, soft(distance, 1.0), np.float32(AIR))
