"""Acute lesions and old infarcts: drawn once per patient, stamped on each of its slices."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import morphology

from .anatomy import Head, outline, ventricles
from .patient import Patient, Waves
from .shapes import fade, soft
from .spec import PhantomSpec, rng

SMALLEST = 90
"""Least area of a lesion in a slice, in pixels."""


@dataclass
class Lesion:
    """One acute lesion in space: its kind, place and size in nominal head mm, and how it looks.

    Kinds: ``blob`` (an ellipsoid), ``wedge`` (a sector from the cortex inwards), ``crescent`` (along the skull).
    """

    label: str
    kind: str
    centre: tuple
    area: float  # mm² in its middle slice
    axes: tuple  # relative lengths of a blob's axes and its turn in degrees
    arc: tuple  # direction (radians) and reach inwards (mm) of a wedge or crescent
    value: float  # HU of blood, or drop of an ischemia
    satellites: tuple  # direction, distance and size relative to the blob
    flooded: int  # side of the ventricle filled with blood, 0 for none
    middle: float
    half_height: float
    push: float
    outline: Waves
    texture: Waves

    def shrink(self, height: float) -> float:
        """Return the lesion's relative size at a height: 1 in the middle, about 0.6 in the patient's last slices."""
        return float(np.sqrt(max(0.2, 1 - ((height - self.middle) / self.half_height) ** 2)))

    def mass(self, height: float) -> tuple | None:
        """Return what the lesion pushes aside in a slice, for `anatomy.build`."""
        if self.kind != "blob" or self.push <= 0:
            return None
        size = np.sqrt(self.area / np.pi) * self.shrink(height)
        return (*self.centre, max(6.0, float(size)), self.push * self.shrink(height))


def draw_lesion(seed: int, number: int, label: str, patient: Patient, spec: PhantomSpec) -> Lesion | None:
    """Draw the acute lesion of a patient of class ``label``; None for class ``none``."""
    if label == "none":
        return None
    g = rng(seed, number, 3)
    middle = float(patient.heights.mean())
    edge = outline(patient, middle)[0]
    median, spread = spec.ischemia_area if label == "ischemia" else spec.hemorrhage_area
    pixels = float(np.clip(median * np.exp(g.normal(0, spread)), *spec.lesion_area_limits))
    area = pixels * patient.pixel**2 / (patient.scale[0] * patient.scale[1])
    area = min(area, 0.11 * np.pi * float(np.mean(edge)) ** 2)
    side = int(g.choice([-1, 1]))
    kind, drop = "blob", 0.0
    direction = float(g.uniform(-1.1, 1.25))  # from the side, forwards negative
    reach = float(np.clip(np.sqrt(area) * g.uniform(0.75, 1.3), 9, 46))
    deep = [(25, -7), (25, -2), (11, 4), (22, 2)]
    if middle < 15:
        places = [(22, 48), (26, 42), (14, 55), (38, -12), (36, -6)]
        centre = places[g.integers(len(places))]
    elif 26 < middle < 58 and g.random() < 0.5:
        centre = deep[g.integers(len(deep))]
    else:
        radius = g.uniform(0.5, 0.78) * edge[int((direction + np.pi) / (2 * np.pi) * len(edge))]
        centre = (radius * np.cos(direction), radius * np.sin(direction))
        if label == "ischemia":
            kind = "wedge"
    centre = (side * float(centre[0]) + g.normal(0, 1.5), float(centre[1]) + g.normal(0, 2))
    faint = g.random() < spec.ischemia_faint_fraction
    value = g.uniform(*spec.hemorrhage_value)
    if label == "ischemia":
        drop = g.uniform(*(spec.ischemia_faint_drop if faint else spec.ischemia_drop))
    elif middle > 28 and g.random() < spec.hemorrhage_subdural:
        kind, area = "crescent", min(area, 750.0)
        reach = g.uniform(4, 9)
    satellites = ()
    if label == "hemorrhage" and kind == "blob" and g.random() < spec.hemorrhage_extra_parts:
        satellites = tuple(
            (g.uniform(0, 2 * np.pi), g.uniform(1.35, 1.9), g.uniform(0.18, 0.4)) for _ in range(g.integers(1, 3))
        )
    flooded = side if label == "hemorrhage" and kind == "blob" and g.random() < spec.hemorrhage_ventricle else 0
    size = float(np.sqrt(area))
    half = (len(patient.heights) - 1) * patient.spacing_z / 2
    return Lesion(
        label=label,
        kind=kind,
        centre=centre,
        area=float(area),
        axes=(float(g.uniform(0.72, 1.0)), float(g.uniform(-60, 60))),
        arc=(direction if side > 0 else float(np.pi - direction), float(reach)),
        value=float(drop if label == "ischemia" else value),
        satellites=satellites,
        flooded=flooded,
        middle=middle,
        half_height=1.25 * half + 3,
        push=float(g.uniform(0.05, 0.16) * size) if label == "hemorrhage" else 0.0,
        outline=Waves(g, (max(9.0, 0.45 * size), max(20.0, 1.3 * size))),
        texture=Waves(g, (5, 14)),
    )


def _distance(head: Head, lesion: Lesion, centre: tuple, grow: float) -> np.ndarray:
    """Return the signed distance (mm) of the lesion's outline over the head's box."""
    x, y, z = head.plain.x, head.plain.y, head.height
    shrink = lesion.shrink(z) * grow
    rough = head.field(lesion.outline)
    if lesion.kind == "blob":
        ratio, turn = lesion.axes
        size = np.float32(np.sqrt(lesion.area / np.pi / ratio) * shrink)
        cos, sin = np.cos(np.deg2rad(turn), dtype=np.float32), np.sin(np.deg2rad(turn), dtype=np.float32)
        dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
        radial = np.hypot(dx * cos + dy * sin, (dy * cos - dx * sin) / np.float32(ratio))
        distance = (radial / size - 1 - np.float32(0.13) * rough) * size * np.float32(ratio)
        for direction, far, small in lesion.satellites:
            sx = centre[0] + size * far * np.cos(direction) * (1 if abs(centre[0]) > 15 else 0.5)
            sy = centre[1] + size * far * np.sin(direction)
            other = np.hypot(x - np.float32(sx), (y - np.float32(sy)) * np.float32(0.75)) - size * np.float32(small)
            np.minimum(distance, other, out=distance)
        return distance
    direction, reach = lesion.arc
    turned = np.angle(np.exp(1j * (np.arctan2(y, x) - direction))).astype(np.float32)
    edge = float(np.mean(head.inner))
    if lesion.kind == "wedge":
        reach = reach * np.sqrt(shrink)
        half = np.clip(lesion.area * shrink**1.5 / (2 * reach * max(15.0, edge - reach / 2)), 0.12, 0.8)
        aside = (np.abs(turned) - np.float32(half)) * np.maximum(head.radius, 8)
        deep = head.depth - np.float32(reach)
        return np.hypot(np.clip(aside + 4, 0, None), np.clip(deep + 4, 0, None)) - 4 + np.float32(1.8) * rough
    half = np.clip(lesion.area / (2 * reach * edge * 0.64), 0.35, 1.1) * np.sqrt(shrink)
    thick = reach * shrink * np.cos(np.clip(turned / np.float32(half), -1, 1) * np.float32(np.pi / 2))
    return head.depth - thick + np.float32(0.5) * rough


def _allowed(head: Head) -> np.ndarray:
    """Tell for each pixel of the head's box whether it is brain: inside the skull and no bone, air or orbit."""
    allowed = (head.inside > 0.5) & (head.depth > 0.8)
    for box, coverage, value in head.late:
        if value > 200 or value < 0:
            allowed[box] &= coverage < 0.35
    return allowed


def _tidy(region: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Smooth a region as an annotator draws it: no holes, no hairs, no crumbs."""
    region = ndimage.binary_fill_holes(ndimage.binary_opening(region, morphology.disk(2))) & allowed
    labels, count = ndimage.label(region)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        region = (sizes >= min(40, sizes.max()))[labels] & region
    return region


def stamp(head: Head, lesion: Lesion) -> np.ndarray:
    """Draw the lesion into ``head`` and return its true region, a bool array over the head's box."""
    fluid = head.ventricle > 0.4
    allowed = _allowed(head)
    if lesion.kind == "crescent":
        allowed = (head.inside > 0.5) & allowed
    target = allowed if lesion.label == "hemorrhage" else allowed & ~fluid
    centre, grow = lesion.centre, 1.0
    for attempt in range(6):
        distance = _distance(head, lesion, centre, grow)
        region = _tidy((distance < 0) & target, target)
        if region.sum() >= SMALLEST:
            break
        # Bone or a ventricle took the place: move to the widest stretch of brain and grow a little.
        if lesion.kind == "blob" and attempt == 0:
            room = ndimage.distance_transform_edt(target)
            best = np.unravel_index(room.argmax(), room.shape)
            centre = (float(head.plain.x[best]), float(head.plain.y[best]))
        grow *= 1.3
    if lesion.label == "ischemia":
        _darken(head, lesion, distance, region)
        return region
    return _bleed(head, lesion, distance, region)


def _darken(head: Head, lesion: Lesion, distance: np.ndarray, region: np.ndarray) -> None:
    """Lower the tissue, lose the grey–white border and narrow the furrows inside an ischemia."""
    weight = soft(distance, 3.5)
    flat = np.float32(head.tissue[region].mean())
    strength = min(1.0, 0.35 + lesion.value / 12)
    head.tissue += weight * (np.float32(0.8 * strength) * (flat - head.tissue) - np.float32(lesion.value))
    head.tissue += weight * np.float32(0.6) * head.field(lesion.texture)
    furrows = np.clip(head.csf - head.ventricle, 0, None)
    head.csf -= weight * np.float32(0.65 * strength) * furrows


def _bleed(head: Head, lesion: Lesion, distance: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Paint blood with a thin rim of swelling around it and, in some, into a ventricle."""
    everything = (slice(None), slice(None))
    grown = np.clip(1 - np.clip(distance, 0, None) / 6, 0, 1) * (head.depth > 2)
    head.tissue -= np.float32(5.0 if lesion.kind == "blob" else 0) * grown
    blood = soft(distance, 1.1) * _allowed(head)
    value = np.float32(lesion.value) + np.float32(2.0) * head.field(lesion.texture)
    if lesion.flooded:
        pool = np.zeros_like(blood)
        for points, radii, _ in ventricles(head.patient, head.height):
            if np.mean([px for px, _ in points]) * lesion.flooded > 2:
                box, away = head.grid.chain(points, np.maximum(radii, 1.5))
                pool[box] = np.maximum(pool[box], soft(away, 1.2))
        # Blood settles at the back of the ventricle.
        level = lesion.texture.phases[0] * 6 - 26
        pool *= soft(level - head.grid.y, 2.0)
        wet = _tidy(pool > 0.5, _allowed(head))
        if wet.sum() >= 40:
            region = region | wet
            blood = np.maximum(blood, pool)
    head.late.insert(0, (everything, blood, value))
    return region


def stamp_old_infarct(head: Head, seed: int, number: int) -> np.ndarray:
    """Draw a patient's old infarct: a sharp-edged fluid-dark defect, with the ventricle beside it widened.

    Returns:
        The defect's region, a bool array over the head's box; empty where the slice does not meet it.
    """
    patient = head.patient
    g = rng(seed, number, 4)
    side = int(g.choice([-1, 1]))
    direction = g.uniform(-1.0, 1.2)
    direction = direction if side > 0 else np.pi - direction
    wedge = g.random() < 0.65
    area = float(np.clip(700 * np.exp(g.normal(0, 0.7)), 120, 2200))
    middle, half_height = g.uniform(patient.heights.min(), patient.heights.max()), g.uniform(14, 34)
    shrink = max(0.0, 1 - ((head.height - middle) / half_height) ** 2) ** 0.5
    value, widened = g.uniform(5, 16), g.uniform(1.5, 5)
    outline = Waves(g, (10, 30))
    centre = (side * g.uniform(18, 30), g.uniform(-14, 14))
    if shrink < 0.25 or head.height < 8:
        return np.zeros(head.inside.shape, bool)
    x, y = head.plain.x, head.plain.y
    if wedge:
        reach = np.clip(np.sqrt(area) * 0.9, 9, 38) * shrink
        half = np.clip(area * shrink / (2 * reach * max(15.0, float(head.inner.mean()) - reach / 2)), 0.1, 0.7)
        turned = np.angle(np.exp(1j * (np.arctan2(y, x) - direction))).astype(np.float32)
        aside = (np.abs(turned) - np.float32(half)) * np.maximum(head.radius, 8)
        distance = np.maximum(aside, head.depth - np.float32(reach))
    else:
        size = np.float32(np.sqrt(min(area, 320.0) / np.pi) * shrink)
        distance = np.hypot(x - np.float32(centre[0]), (y - np.float32(centre[1])) * np.float32(0.8)) - size
    distance = distance + np.float32(1.6) * head.field(outline)
    defect = soft(distance, 1.2) * _allowed(head)
    # A margin of scarred, pale tissue goes with the defect.
    head.tissue -= np.float32(5) * np.clip(1 - np.clip(distance, 0, None) / 5, 0, 1)
    head.tissue += defect * (np.float32(value) - head.tissue)
    head.csf = np.maximum(head.csf, defect * np.float32(0.55))
    for points, radii, shown in ventricles(patient, head.height):
        if np.mean([px for px, _ in points]) * side > 2 and shown > 0.5:
            box, away = head.grid.chain(points, radii + widened * fade(shrink, 0.5, 2, 0.4) * 0.5)
            cover = soft(away, 1.3)
            head.ventricle[box] = np.maximum(head.ventricle[box], cover)
            head.csf[box] = np.maximum(head.csf[box], cover)
    return defect > 0.5
