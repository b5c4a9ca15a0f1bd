"""The head of one slice in Hounsfield units, without lesion and noise, from our own rough knowledge of axial anatomy.

Head coordinates in mm on a nominal head 144 mm wide and 180 mm long: x to the image's right, y to the back, origin in
the middle; heights above the skull base, which lies at 0.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from .patient import Patient, Waves
from .shapes import Grid, blend, cover, fade, soft

AIR, FAT, SKIN, MUSCLE, BONE = -1000.0, -95.0, 70.0, 58.0, 950.0


@dataclass
class Head:
    """One slice before its lesion is added: maps over the pixels of the head's box, and what lies around them.

    ``tissue`` is the parenchyma's attenuation in HU, ``csf`` and ``ventricle`` coverages of fluid, ``inside`` the
    coverage of the cranial cavity and ``skull`` that of cavity and bone, ``depth`` mm below the inner table, ``late`` a
    list of (box, coverage, HU) painted last, ``frame`` the whole picture with only the head-rest in it. ``grid``
    follows the brain where a mass pushes it aside, ``plain`` does not. ``axes`` are the parts of x and y that come
    from a pixel's column and row. ``calcium`` lists (box, coverage) of the calcifications among ``late``; nothing is
    drawn from it.
    """

    patient: Patient
    grid: Grid
    plain: Grid
    height: float
    crop: tuple
    frame: np.ndarray
    outside: np.ndarray
    inside: np.ndarray
    skull: np.ndarray
    depth: np.ndarray
    radius: np.ndarray
    inner: np.ndarray
    tissue: np.ndarray
    csf: np.ndarray
    ventricle: np.ndarray
    late: list
    axes: tuple
    fields: dict
    calcium: list = dataclasses.field(default_factory=list)

    def field(self, waves: Waves) -> np.ndarray:
        """Return a random field over the head's box, float32."""
        if id(waves) not in self.fields:
            self.fields[id(waves)] = waves.on(*self.axes, self.height)
        return self.fields[id(waves)]

    def wave(self, name: str) -> np.ndarray:
        """Return one of the patient's named fields over the head's box."""
        return self.field(self.patient.waves[name])

    def compose(self) -> np.ndarray:
        """Return the slice in HU, float32 of the frame's shape, sharp and without noise."""
        picture = self.frame.copy()
        brain = self.tissue + self.csf * (np.float32(self.patient.csf) - self.tissue)
        head = self.outside + self.inside * (brain - self.outside)
        for box, coverage, value in self.late:
            blend(head, box, coverage, value)
        picture[self.crop] = np.maximum(picture[self.crop], head)
        return picture


def outline(patient: Patient, height: float, bins: int = 4096) -> tuple:
    """Return radii (mm) of the inner table, outer table and skin in ``bins`` directions, from -π."""
    theta = np.linspace(-np.pi, np.pi, bins, endpoint=False)
    sine, cosine = np.sin(theta), np.cos(theta)
    above, below = max(0.0, (height - 42) / 79), max(0.0, (42 - height) / 48)
    dome = np.sqrt(max(0.05, 1 - above**2))
    half_width = 72 * dome * (1 - 0.06 * below**2) * (1 + patient.egg * sine)
    power = patient.squareness
    radius = (np.abs(cosine / half_width) ** power + np.abs(sine / (90 * dome)) ** power) ** (-1 / power)
    for order, amplitude, phase in zip(range(2, 7), *patient.outline, strict=True):
        radius += amplitude * dome * np.cos(order * (theta - np.pi / 2) + phase)
    low = np.clip((14 - height) / 20, 0, 1)

    def bump(at: float, wide: float) -> np.ndarray:
        away = np.angle(np.exp(1j * (theta - at)))
        return np.exp(-((away / wide) ** 2))

    temples = bump(-0.6, 0.28) + bump(np.pi + 0.6, 0.28)
    radius -= low * (9 * np.clip(sine, 0, 1) ** 2 + 7 * temples)
    bone = np.full(bins, patient.bone)
    for order, amplitude, phase in zip((2, 3, 5), *patient.bone_wave, strict=True):
        bone *= 1 + amplitude * np.cos(order * theta + phase)
    bone *= (
        1 + 0.35 * np.clip(-sine, 0, 1) ** 4 + 0.25 * np.clip(sine, 0, 1) ** 4 + 0.6 * low * np.clip(sine, 0, 1) ** 2
    )
    bone /= max(0.45, dome)

    # Crests on the midline: frontal crest and internal occipital protuberance.
    bone += 3.5 * bump(-np.pi / 2, 0.05) * fade(height, 5, 50, 15) + 4.5 * bump(np.pi / 2, 0.09) * fade(
        height, -10, 45, 12
    )
    muscle = (
        patient.muscle * fade(height, -10, 30, 25) * (bump(-0.25, 0.38) + bump(np.pi + 0.25, 0.38)) + 6 * low * temples
    )
    neck = (6 + 1.5 * patient.muscle) * np.clip((16 - height) / 18, 0, 1) * bump(np.pi / 2, 0.75)
    uneven = 0.22 * np.cos(theta + patient.bone_wave[1][0]) + 0.18 * np.cos(3 * theta + patient.bone_wave[1][1])
    scalp = patient.scalp * (1 + uneven) + muscle + neck
    return radius - bone, radius, radius + scalp, muscle + neck


def build(patient: Patient, height: float, shape: tuple, mass: tuple | None = None) -> Head:
    """Return the anatomy of the slice ``height`` mm above the skull base on a frame of ``shape`` (rows, columns).

    ``mass`` is (x, y, radius, push) in mm of something that displaces the brain by at most ``push`` at its edge.
    """
    tables = outline(patient, height)
    angle = np.deg2rad(patient.rotation)
    cos, sin = np.cos(angle), np.sin(angle)
    middle = np.array(
        [shape[0] / 2 + patient.shift[1] / patient.pixel, shape[1] / 2 + patient.shift[0] / patient.pixel]
    )

    def to_pixel(x, y):
        x, y = np.asarray(x) * patient.scale[0], np.asarray(y) * patient.scale[1]
        return (
            middle[0] + (sin * x + cos * y) / patient.pixel,
            middle[1] + (cos * x - sin * y) / patient.pixel,
        )

    reach = tables[2].max() + 14
    corners = np.array([[-reach, -reach - 8], [reach, reach]])
    empty = Grid(np.zeros(shape), np.zeros(shape), to_pixel, 0.0)
    crop = empty.box(corners, 2.0)
    rows = np.arange(crop[0].start, crop[0].stop, dtype=np.float32)[:, None] - np.float32(middle[0])
    columns = np.arange(crop[1].start, crop[1].stop, dtype=np.float32)[None] - np.float32(middle[1])
    unit = np.array([patient.pixel / patient.scale[0], patient.pixel / patient.scale[1]])
    axes = (
        (columns.T * np.array([cos, -sin]) * unit).astype(np.float32),
        (rows * np.array([sin, cos]) * unit).astype(np.float32),
    )
    x, y = (axes[0][None, :, k] + axes[1][:, None, k] for k in (0, 1))
    x += 1.0 * patient.waves["warp_x"].on(*axes, height)
    y += 1.0 * patient.waves["warp_y"].on(*axes, height)

    def cropped(px, py):
        r, c = to_pixel(px, py)
        return r - crop[0].start, c - crop[1].start

    plain = Grid(x, y, cropped, 5.0)
    radius = np.hypot(x, y)
    index = ((np.arctan2(y, x) + np.float32(np.pi)) * np.float32(4096 / (2 * np.pi))).astype(np.int32) % 4096
    inner, outer, skin, muscle = (t.astype(np.float32)[index] for t in tables)
    pixel = np.float32(patient.pixel)
    inner = inner + 0.45 * patient.waves["meander"].on(*axes, height) + 0.2 * patient.waves["wiggle"].on(*axes, height)
    inside = soft(radius - inner, pixel)
    grid = plain if mass is None else _pushed(plain, inner - radius, mass, cropped)
    outside = np.full(x.shape, np.float32(AIR))
    everything = (slice(None), slice(None))
    blend(outside, everything, soft(radius - skin, pixel), np.float32(SKIN))
    blend(outside, everything, soft(radius - skin + 2.1, pixel), np.float32(FAT))
    # Muscle lies in sheets with fat between them.
    sheets = np.cos((radius - outer) * np.float32(1.1) + 2.0 * patient.waves["meander"].on(*axes, height))
    bundles = (
        soft(radius - outer - muscle * 0.85, pixel) * (muscle > 0.7) * soft(0.75 * (muscle > 4) * sheets - 0.55, 0.6)
    )
    blend(outside, everything, bundles, np.float32(MUSCLE))
    if patient.ears and height < 14:
        _ears(plain, outside, tables)
    skull = soft(radius - outer, pixel)
    blend(outside, everything, skull, np.float32(BONE))
    frame = _frame(patient, shape, middle)
    frame[crop][radius < skin + 1] = AIR
    head = Head(
        patient, grid, plain, height, crop, frame, outside, inside, skull, inner - radius, radius,
        inner,
        np.full(x.shape, np.float32(patient.white)), np.zeros_like(x), np.zeros_like(x), [], axes, {},
    )  # fmt: skip
    _cortex(head, index)
    _deep(head)
    _fluid(head)
    _membranes(head)
    return head


def _pushed(plain: Grid, depth: np.ndarray, mass: tuple, to_pixel) -> Grid:
    """Return the grid of a brain that gives way to a mass; the skull holds its edge in place."""
    px, py, size, push = (np.float32(value) for value in mass)
    dx, dy = plain.x - px, plain.y - py
    away = np.hypot(dx, dy) / size
    amount = push / size * np.exp(1 - away) * np.clip(depth / 14, 0, 1)
    return Grid(plain.x - amount * dx, plain.y - amount * dy, to_pixel, plain.margin + float(push))


def _ears(plain: Grid, outside: np.ndarray, tables: tuple) -> None:
    """Paint both ears' folds of skin outside the scalp."""
    for side, skin in ((1, tables[2][2048 + 130]), (-1, tables[2][-130])):
        fold = [(side * (skin - 2), 10), (side * (skin + 6), 13), (side * (skin + 10), 24), (side * (skin + 4), 31)]
        box, distance = plain.chain(fold, [1.0, 0.7, 1.1, 0.6])
        blend(outside, box, soft(distance, 0.8), np.float32(SKIN))


def _frame(patient: Patient, shape: tuple, middle: np.ndarray) -> np.ndarray:
    """Return the picture with nothing but air and the head-rest, in HU; ``middle`` is the head's row and column."""
    frame = np.full(shape, np.float32(AIR))
    kind, (a, b, c, d, e, f) = patient.rest
    if kind == "none":
        return frame
    everything = (slice(None), slice(None))
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    columns -= np.float32(shape[1] / 2 + 0.5 * (middle[1] - shape[1] / 2))
    # The head of all levels lies in the rest, so its widest slice sets the place.
    bottom = np.float32(middle[0] + 101 * patient.scale[1] / patient.pixel + 4 + 24 * c)
    beside = np.float32(84 * patient.scale[0] / patient.pixel + 8)
    thick = np.float32(1.2 + 1.6 * a)
    if kind == "lines":
        for k in range(2 + int(2.5 * b)):
            level = bottom + 9 * k - (0.0006 + 0.0008 * d) * columns**2 * (1 if k < 2 else 0.5)
            half = beside * (0.65 + 0.3 * e) - 18 * k
            gaps = np.sin(columns * np.float32(0.05 + 0.12 * f) + 2 * k) > (-0.92 if k < 2 else -0.3)
            stripe = soft(np.abs(rows - level) - thick * (0.9 if k else 0.6), 1.2) * (np.abs(columns) < half) * gaps
            blend(frame, everything, stripe, np.float32(420))
        return frame
    # A cradle: two upright sides joined by a half circle, of which some scanners' field shows only a part.
    half = np.maximum(beside + 40 * b, 150)
    centre = bottom - half * np.float32(0.85 + 0.15 * f)
    ring = np.hypot(columns, np.maximum(rows - centre, 0) * (half / (bottom - centre))) - half
    shown = rows > centre - np.float32(110 * e)
    if kind == "sides":
        shown &= np.abs(columns) > half * (0.9 + 0.08 * d)
    if kind == "corners":
        shown &= (rows > centre + half * 0.45) & (np.abs(columns) > half * (0.25 + 0.35 * d))
    blend(frame, everything, soft(np.abs(ring) - thick, 1.0) * shown, np.float32(700))
    return frame


def _cortex(head: Head, index: np.ndarray) -> None:
    """Paint the grey ribbon and the furrows of the hemispheres and the fluid between brain and skull."""
    patient, x, y, z = head.patient, head.grid.x, head.grid.y, head.height
    meander = 3.0 * head.wave("meander") + 0.6 * head.wave("wiggle")
    rim = np.clip((0.2 + 1.9 * patient.atrophy) * (0.8 + 0.7 * head.wave("rim")), 0.05, None)
    grey = soft(head.depth - rim - 3.4, 3.0)
    csf = soft(head.depth - rim, 1.2)
    wide = np.float32(0.25 + 2.2 * patient.atrophy)

    def furrows(sulci, along, depth, shrink):
        distance, deep, width = sulci.nearest(along, z)
        distance = distance * shrink
        taper = np.sqrt(np.clip(1.05 - depth / deep, 0, 1))
        half = 0.5 * wide * width * taper
        np.maximum(csf, soft(distance - half, 1.7) * np.clip(half / 0.5, 0, 1), out=csf)
        np.maximum(grey, soft(distance - half - 3.0, 3.0) * soft(depth - deep - 3.0, 4.0), out=grey)

    arc = (index.astype(np.float32) * np.float32(2 * np.pi / 4096)) * np.float32(70)
    furrows(patient.lateral, arc + meander, head.depth, head.radius / np.maximum(head.inner, 1))
    # The medial faces of the hemispheres: along the whole midline near the vertex, else only before and
    # behind the ventricles.
    core = 34 * fade(z, -20, 66, 10)
    medial = soft(core - np.abs(y + 2), 8.0) * fade(z, 20, 200, 8)
    side = np.abs(x)
    fissure = np.float32(0.3 + 1.0 * patient.atrophy) * (0.6 + 0.5 * head.wave("rim"))
    before = csf.copy(), grey.copy()
    furrows(patient.medial, y + meander, side, np.float32(1))
    np.maximum(csf, soft(side - fissure - 0.3, 1.0), out=csf)
    np.maximum(grey, soft(side - 4.0, 2.0), out=grey)
    csf, grey = (old + medial * (new - old) for old, new in zip(before, (csf, grey), strict=True))
    head.csf, head.tissue = csf, head.tissue + grey * np.float32(patient.grey - patient.white)
    head.tissue += np.float32(0.5) * head.wave("tissue")


def _deep(head: Head) -> None:
    """Paint deep grey nuclei, brain stem and cerebellum."""
    patient, grid, z = head.patient, head.grid, head.height
    nuclei = np.zeros_like(grid.x)
    for side in (-1, 1):
        level = z + side * 60 * patient.roll
        for centre, axes, turn, low, high in (
            ((11.5, -25), (5.0, 8.5), 20, 33, 52),
            ((25, -8), (8.0, 15.0), 18, 27, 46),
            ((10.5, 4), (8.0, 12.5), -25, 31, 49),
        ):
            shown = fade(level, low, high, 4)
            if shown > 0:
                box, distance = grid.ellipse((side * centre[0], centre[1]), axes, side * turn)
                cover(nuclei, box, np.float32(0.85 * shown) * soft(distance, 5.0))
    head.tissue += nuclei * np.clip(np.float32(patient.grey) - head.tissue, 0, None)
    stem = fade(z, -20, 25, 4)
    if stem > 0:
        box, distance = grid.ellipse((0, 10), (15, 12))
        blend(
            head.tissue, box, np.float32(stem) * soft(distance, 2.0), np.float32(0.5 * (patient.grey + patient.white))
        )
        head.csf[box] *= 1 - np.float32(stem) * soft(distance, 2.0)
    little = fade(z, -20, 20, 7)
    if little > 0:
        # Cerebellum behind the petrous ridges: nearly uniform, with fine leaves.
        wiggle = head.wave("wiggle")
        region = np.float32(little) * soft(20 + 0.3 * np.abs(grid.x) - grid.y, 7.0)
        leaves = np.sin(np.hypot(grid.x * 0.7, grid.y - 20) * np.float32(2 * np.pi / 5) + 1.2 * wiggle)
        value = np.float32(0.65 * patient.grey + 0.35 * patient.white) + np.float32(0.5) * leaves
        blend(head.tissue, (slice(None), slice(None)), region, value)
        head.csf *= 1 - region * soft(3.0 - head.depth, 2.0)


def ventricles(patient: Patient, height: float) -> list:
    """Return the chains (points, radii in mm, strength) of the ventricles at a height."""
    z, parts = height, []
    for side in (-1, 1):
        level = z + side * 60 * patient.roll
        size = patient.ventricles * (1 + side * patient.asymmetry)
        front, back = level - 30 * patient.pitch, level + 35 * patient.pitch

        def add(points, radii, shown, side=side, size=size):
            if shown > 0.05:
                scale = size * np.sqrt(shown)
                parts.append(
                    ([(side * (px + 1.2 * (size - 1)), py) for px, py in points], np.array(radii) * scale, shown)
                )

        add([(2.6, -16), (5.2, -26), (11, -36), (16, -41)], [1.2, 3.0, 3.3, 1.4], fade(front, 36, 62, 4))
        add([(10, -34), (6, -20), (6, -4), (10, 10), (18, 22)], [2.4, 4.0, 3.4, 3.8, 4.2], fade(level, 53, 69, 5))
        add([(16, 19), (23, 28), (26, 38), (25, 50)], [2.6, 4.7, 3.3, 1.0], fade(back, 40, 63, 4))
        add([(30, -2), (33, 8), (31, 18)], [0.5, 1.3, 0.8], fade(level, 14, 30, 4))
    add_middle = parts.append
    third = fade(z, 24, 44, 3)
    if third > 0.05:
        size = patient.ventricles
        add_middle(([(0, -14), (0, -2), (0, 11)], np.array([0.8, 1.5, 0.9]) * size * np.sqrt(third), third))
    fourth = fade(z, -5, 14, 3)
    if fourth > 0.05:
        size = 0.6 + 0.4 * patient.ventricles
        add_middle(([(-4.5, 30.5), (0, 28), (4.5, 30.5)], np.array([1.0, 2.4, 1.0]) * size * fourth, fourth))
    return parts


def _fluid(head: Head) -> None:
    """Paint ventricles, cisterns and Sylvian fissures, and the pallor around the ventricles."""
    patient, grid, z = head.patient, head.grid, head.height
    pallor = np.zeros_like(grid.x)
    for points, radii, shown in ventricles(patient, z):
        box, distance = grid.chain(points, radii)
        cover(head.ventricle, box, soft(distance, 1.3))
        cover(pallor, box, np.float32(shown) * np.clip(1 - distance / 6, 0, 1))
    head.tissue -= np.float32(patient.ageing) * pallor
    wide = 0.35 + 1.1 * patient.atrophy
    cisterns = [
        (
            [(-19, 6), (-15, 16), (-6, 21), (0, 19.5), (6, 21), (15, 16), (19, 6)],
            [0.6, 1.2, 1.6, 2.2, 1.6, 1.2, 0.6],
            20,
            34,
        ),
        ([(0, -22), (0, -12), (-9, -3)], [1.2, 4.0, 1.2], 12, 23),
        ([(0, -12), (9, -3)], [4.0, 1.2], 12, 23),
        ([(-17, -19), (0, -13), (17, -19)], [0.6, 3.0, 0.6], 12, 23),
        ([(-14, 12), (-6, -1), (6, -1), (14, 12)], [1.0, 1.4, 1.4, 1.0], -4, 13),
        ([(0, 22), (0, 34)], [1.8, 0.6], 28, 38),
    ]
    for side in (-1, 1):
        cisterns += [
            ([(side * 62, -20), (side * 48, -12), (side * 41, -4), (side * 41, 8), (side * 45, 16)],
             [1.6, 1.4, 1.5, 1.3, 0.6], 18, 52),
            ([(side * 41, -4), (side * 39, -16), (side * 43, -24)], [1.4, 1.2, 0.4], 22, 48),
            ([(side * 44, 14), (side * 55, 22), (side * 63, 24)], [0.6, 0.9, 1.2], 42, 62),
        ]  # fmt: skip
    for number, (points, radii, low, high) in enumerate(cisterns):
        shown = fade(z, low, high, 4)
        if shown > 0.05:
            own = 0.7 + 0.5 * np.sin(1.7 * number + patient.outline[1][number % 5])
            widths = np.asarray(radii) * (0.35 + wide * own) * np.sqrt(shown)
            box, distance = grid.chain(points, widths)
            distance = distance + 0.4 * head.wave("wiggle")[box]
            grey = np.float32(0.9 * shown) * soft(distance - 3.2, 2.0)
            head.tissue[box] += grey * np.clip(np.float32(patient.grey) - head.tissue[box], 0, None)
            cover(head.csf, box, soft(distance, 1.3) * np.float32(min(1.0, 0.4 + shown)))
    np.maximum(head.csf, head.ventricle, out=head.csf)


def _membranes(head: Head) -> None:
    """List falx, tentorium, venous sinuses and calcifications, painted over the brain."""
    patient, grid, z = head.patient, head.grid, head.height
    pixel = patient.pixel

    def line(points, radii, value, strength=1.0, edge=0.9, calcium=False):
        box, distance = grid.chain(points, radii)
        coverage = np.float32(strength) * soft(distance, edge) * head.inside[box]
        head.late.append((box, coverage, np.float32(value)))
        if calcium:
            head.calcium.append((box, coverage))

    front, back = -head_edge(head, -np.pi / 2), head_edge(head, np.pi / 2)
    shown = fade(z, 30, 200, 6)
    if shown > 0:
        reach = np.clip((z - 55) / 20, 0, 1)
        line([(0, front), (0, -46 + 40 * reach)], 0.45, 58, shown)
        line([(0, 36 - 34 * reach), (0.4, 60), (0, back)], 0.5, 60, shown)
        line([(-3.2, back), (0, back - 4), (3.2, back)], [1.4, 1.0, 1.4], 56, shown)
        line([(-2.2, front), (0, front + 3), (2.2, front)], [1.0, 0.8, 1.0], 55, shown * 0.8)
    tent = fade(z, 18, 36, 4)
    if tent > 0:
        open_ = 26 - 0.5 * (z - 18)
        for side in (-1, 1):
            line([(side * 3, 28), (side * open_, 44), (side * (open_ + 18), 60)], 0.4, 48, 0.75 * tent)
    if patient.falx_calcium and z > 45:
        line([(0.6, front + 14), (0.4, front + 22)], [1.0, 0.4], 240, calcium=True)
    if patient.pineal and 33 <= z <= 44:
        line([(0.4, 17), (0.8, 18.5)], [1.3, 1.0], 190, edge=1.2, calcium=True)
    if patient.plexus and 43 <= z + 20 * patient.pitch <= 60:
        for side in (-1, 1):
            bright = 90 + 130 * abs(np.sin(3 * patient.outline[1][1] + side))
            line([(side * 24, 27), (side * 25.5, 31)], [1.6, 1.0], bright, edge=1.6 + pixel, calcium=True)


def head_edge(head: Head, direction: float) -> float:
    """Return the radius in mm of the inner table in a direction (radians, x towards y)."""
    return float(outline(head.patient, head.height)[0][int((direction + np.pi) / (2 * np.pi) * 4096) % 4096])
