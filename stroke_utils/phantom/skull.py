"""The bones, air cells and orbits of the low slices, and the frontal sinus."""

import numpy as np

from .anatomy import AIR, BONE, FAT, SKIN, Head, outline
from .shapes import blend, fade, soft


class _Painter:
    """Adds shapes to a head's list of late layers, with uneven outlines where bone is cut obliquely."""

    def __init__(self, head: Head):
        self.head, self.grid = head, head.grid
        self.cells = head.wave("cells")
        self.rough = 0.3 * head.wave("wiggle") + 0.8 * head.wave("meander")

    def add(
        self, shape: tuple, value: float, strength: float = 1.0, edge: float = 1.2, uneven: float = 0.0, where=None
    ):
        """List a shape (box, signed distance in mm); ``where`` is a coverage over the head's box it is cut with."""
        box, distance = shape
        coverage = np.float32(strength) * soft(distance + np.float32(uneven) * self.rough[box], edge)
        if value == BONE:
            coverage = coverage * self.head.skull[box]
        self.head.late.append((box, coverage if where is None else coverage * where[box], np.float32(value)))


def add_skull_base(head: Head) -> None:
    """List what the skull base adds to a slice: petrous bones, sphenoid, face, air cells; and the frontal sinus."""
    painter = _Painter(head)
    front = head.height - 60 * head.patient.pitch
    _petrous(painter)
    _sphenoid(painter)
    recede = float(np.clip(max((22 - front) / 24, (13 - head.height) / 15), 0, 1))
    if recede > 0:
        _face(painter, recede)
    _frontal_sinus(painter, front)


def _petrous(painter: _Painter) -> None:
    """List the ridges between middle and posterior fossa and the mastoid cells in them."""
    ridge = float(np.clip((19 - painter.head.height) / 20, 0, 1))
    if ridge == 0:
        return
    grid, air = painter.grid, soft(0.1 - painter.cells, 0.3)
    for side in (-1, 1):
        radii = ridge * np.array([4.0, 5.5, 12.0, 15.0]) + np.array([0.0, 0.2, 0.6, 1.0])
        course = [(side * 9, 4), (side * 32, 14), (side * 52, 21), (side * 65, 30)]
        painter.add(grid.chain(course, radii), BONE, min(1.0, 0.2 + 1.5 * ridge), edge=4.5, uneven=1.3)
        if ridge > 0.35:
            painter.add(grid.ellipse((side * 61, 29), (9, 13)), -700, ridge, where=air)
            painter.add(grid.ellipse((side * 44, 18), (7, 3)), -600, ridge, where=air)
    clivus = ridge * fade(painter.head.height, -20, 12, 5)
    painter.add(grid.chain([(-9, 2), (0, -1), (9, 2)], 4.0 * ridge), BONE, clivus, edge=3.0, uneven=1.5)


def _sphenoid(painter: _Painter) -> None:
    """List the lesser and greater wings, the body around the sella and the sinus in it."""
    z, grid = painter.head.height, painter.grid
    wing = float(np.clip((21 - z) / 16, 0, 1))
    if wing == 0:
        return
    for side in (-1, 1):
        course = [(side * 10, -29), (side * 30, -45), (side * 46, -57), (side * 60, -62)]
        painter.add(grid.chain(course, wing * np.array([4.0, 2.5, 4.0, 7.0])), BONE, wing, edge=4.0, uneven=1.2)
        clinoid = fade(z, 8, 17, 3)
        painter.add(grid.ellipse((side * 8, -14), (2.2, 2.8)), BONE, clinoid, edge=2.5, uneven=1.0)
    body = float(np.clip((13 - z) / 8, 0, 1))
    if body > 0:
        painter.add(grid.ellipse((0, -22), (15, 18)), BONE, body, edge=3.5, uneven=3.0)
        for side in (-1, 1):
            cavity = fade(z, -20, 9, 4) * (0.6 + 0.4 * np.sin(painter.head.patient.outline[0][0] * 9 + side))
            painter.add(grid.ellipse((side * 6.3, -25 - 2 * side), (5.2, 8.5 * cavity + 2)), AIR, body, uneven=2.2)


def _face(painter: _Painter, recede: float) -> None:
    """List the bone before the brain with ethmoid cells, orbits, lids and nose; ``recede`` is 0 above and 1 below."""
    head, grid = painter.head, painter.grid
    side = np.abs(grid.x)
    wall = -84 + 46 * recede - np.clip(side - 12, 0, None) * 0.72
    face = soft(grid.y - wall + 1.5 * painter.rough, 4.0) * soft(head.radius - head.inner - 4, 2.0)
    everything = (slice(None), slice(None))
    head.late.append((everything, face * np.float32(np.clip(3 * (recede - 0.15), 0, 1)), np.float32(BONE)))
    # The orbital roof is cut obliquely: bright, blurred islands over the frontal lobes.
    roof = fade(recede, 0.15, 0.45, 0.12)
    if roof > 0:
        for sign in (-1, 1):
            islands = soft(-0.1 - painter.cells, 1.5)
            painter.add(grid.ellipse((sign * 28, -66), (16, 9)), 200, 0.4 * roof, edge=8.0, uneven=2.0, where=islands)
    cells = soft(-0.25 - painter.cells, 0.35) * face
    painter.add(grid.chain([(0, -86), (0, -46)], [11, 7]), AIR, min(1.0, 1.4 * recede), where=cells)
    size = (recede - 0.22) / 0.78
    if size <= 0:
        return
    for sign in (-1, 1):
        _orbit(painter, sign, float(np.sqrt(size)), recede)
    if recede > 0.55:
        tip = -98 - 12 * head.patient.nose
        box, distance = grid.chain([(0, -84), (0, tip)], [12 * recede, 5 * recede])
        blend(head.outside, box, soft(distance, 1.0), np.float32(45))
        painter.add(grid.chain([(0, -84), (0, -95)], [3.5, 1.5]), BONE, recede, uneven=1.0)


def _orbit(painter: _Painter, side: int, size: float, recede: float) -> None:
    """List one orbit: fat cone, globe with lens, muscles, optic nerve and the lid before it."""
    grid = painter.grid
    apex, mouth = np.array([side * 14, -82 + 38 * recede]), np.array([side * 32, -80 + 9 * (1 - size)])
    between = 0.5 * (apex + mouth)
    # High in the orbit bone closes it in front.
    head = painter.head
    open_ = np.maximum(soft(head.radius - head.inner - 2.5, 1.5), np.float32(size > 0.7))
    painter.add(grid.chain([apex, between, mouth], np.array([1.5, 9, 14.5]) * size), FAT, uneven=1.0, where=open_)
    lid = [(side * 18, -87), (side * 25, -94), (side * 33, -97), (side * 41, -94), (side * 48, -85)]
    box, distance = grid.chain(lid, 0.9)
    if size < 0.6:
        return
    blend(painter.head.outside, box, soft(distance, 0.8), np.float32(SKIN))
    inner, outer = between - np.array([side * 7, 2]), between + np.array([side * 8, -1])
    painter.add(grid.chain([apex, between, (side * 31, -76)], [1.1, 1.5, 1.6]), 32, uneven=0.4)
    painter.add(grid.chain([apex, inner, (side * 20, -80)], [0.9, 1.9, 0.8]), 50, uneven=0.5)
    painter.add(grid.chain([apex, outer, (side * 46, -78)], [0.9, 1.9, 0.8]), 50, uneven=0.5)
    globe = 11.5 * min(1.0, 0.4 + 0.6 * size)
    painter.add(grid.ellipse((side * 33, -84), (globe, globe)), 62)
    painter.add(grid.ellipse((side * 33, -84), (globe - 1.8, globe - 1.8)), 14)
    painter.add(grid.ellipse((side * 33, -84 - globe + 3.5), (4.2, 1.8)), 85)


def _frontal_sinus(painter: _Painter, front: float) -> None:
    """List the two uneven air cavities of the frontal bone and the thicker bone around them."""
    patient, grid = painter.head.patient, painter.grid
    top, half = patient.sinus
    if not 11 < front < 14 + top:
        return
    level = 1 - (front / (15 + top)) ** 2
    surface = -outline(patient, painter.head.height)[1][1024]
    lobes = []
    for side, share in (
        (-1, 0.55 + 0.45 * np.sin(9 * patient.egg * 100)),
        (1, 0.55 + 0.45 * np.cos(9 * patient.egg * 100)),
    ):
        reach = max(4.0, half * level * share)
        deep = 3.0 + 2.2 * level
        course = [(side * 3.0, surface + deep + 1), (side * reach, surface + deep + 1.5 + 0.006 * reach**2)]
        lobes.append((course, [0.75 * deep, 0.4 * deep]))
        painter.add(grid.chain(course, [deep + 1.5, 0.4 * deep + 2.5]), BONE, uneven=1.0, edge=2.0)
    for course, radii in lobes:
        painter.add(grid.chain(course, radii), AIR, uneven=1.6)
