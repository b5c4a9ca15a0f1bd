"""From tissue to pixels: blur, noise, window, overlay and marker."""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from stroke_utils.base.vocabulary import BORDER_COLOURS, LABELS, MARKER_COLOUR, MASK_COLOURS

from . import anatomy, lesions, skull
from .patient import Patient
from .shapes import fade
from .spec import PhantomSpec, PlannedPatient, PlannedSlice, rng

LETTERS = {
    "F": ((0, 0, 0, 17), (0, 0, 12, 0), (0, 8, 8, 8)),
    "L": ((0, 0, 0, 17), (0, 17, 12, 17)),
    "A": ((0, 3, 6, 0), (6, 0, 12, 3), (0, 3, 0, 17), (12, 3, 12, 17), (0, 10, 12, 10)),
    "H": ((0, 0, 0, 17), (12, 0, 12, 17), (0, 8, 12, 8)),
}
"""Strokes of the marker's letters: column and row of both ends."""


TISSUES = ("background", "ischemia", "hemorrhage", "old infarct", "fluid", "calcium")
"""Names of the values of `Rendered.tissue`: the lesions as in a mask, then what a network takes for one."""


@dataclass
class Rendered:
    """One finished slice: ``hu`` int16 and ``grey`` uint8 without marker, ``truth`` uint8 0/1/2, ``marker`` bool.

    ``tissue`` is uint8, the place in `TISSUES` of what lies at a pixel.
    """

    hu: np.ndarray
    grey: np.ndarray
    truth: np.ndarray
    marker: np.ndarray
    tissue: np.ndarray

    def png(self) -> np.ndarray:
        """Return the original picture, uint8 (H, W, 4)."""
        return with_marker(rgba(self.grey), self.marker)


def window(hu: np.ndarray, width: int, low: int) -> np.ndarray:
    """Return the grey picture of ``hu``: 0 at and below ``low``, 255 from ``low + width - 1``, ``width`` levels.

    This is DICOM's linear window (PS3.3 C.11.2.1.2.1) with centre ``low + width / 2``, rounded half up.
    """
    steps = np.clip(hu.astype(np.int32) - low, 0, width - 1)
    return ((steps * 510 + width - 1) // (2 * (width - 1))).astype(np.uint8)


def rgba(grey: np.ndarray) -> np.ndarray:
    """Return a grey picture as opaque RGBA, uint8 (H, W, 4)."""
    picture = np.empty((*grey.shape, 4), np.uint8)
    picture[..., :3], picture[..., 3] = grey[..., None], 255
    return picture


def with_marker(picture: np.ndarray, marker: np.ndarray) -> np.ndarray:
    """Burn the orientation marker into an RGBA picture, in place."""
    picture[marker, :3] = MARKER_COLOUR
    return picture


def overlay(picture: np.ndarray, truth: np.ndarray, generator: np.random.Generator, spec: PhantomSpec) -> np.ndarray:
    """Return the RGBA picture with each lesion painted as the organiser's tool does.

    The fill mixes pure red in with alpha 128, once for ischemia and twice for hemorrhage; the border is the region's
    outermost pixel under 4-neighbourhood, in runs of two colours. Some ischemia borders have gaps that show the fill.
    """
    painted = picture.copy()
    for value in np.unique(truth[truth > 0]):
        label, region = LABELS[value], truth == value
        inner = ndimage.binary_erosion(region)
        colours = painted[region][:, :3].astype(np.int32)
        for _ in range(value):
            colours = (2 * (np.array([255 * 128, 0, 0]) + 127 * colours) + 255) // 510
        painted[region, :3] = colours.astype(np.uint8)
        border = region & ~inner
        runs = ndimage.gaussian_filter(generator.standard_normal(truth.shape), 0.8) > 0
        gaps = np.zeros(truth.shape, bool)
        if label == "ischemia" and generator.random() < spec.border_gap_fraction:
            share = generator.uniform(*spec.border_gaps)
            rows, columns = np.nonzero(border)
            count = int(np.clip(np.ceil(share * len(rows)), 1, spec.border_gaps[1] * len(rows) + 1))
            chosen = generator.permutation(len(rows))[:count]
            gaps[rows[chosen], columns[chosen]] = True
        first, second = BORDER_COLOURS[label]
        painted[border & runs & ~gaps, :3] = first
        painted[border & ~runs & ~gaps, :3] = second
    return painted


def class_colours(truth: np.ndarray) -> np.ndarray:
    """Return the organiser's MASK picture of a class mask, uint8 (H, W, 3)."""
    table = np.array([MASK_COLOURS[name] for name in ("background", *LABELS[1:])], np.uint8)
    return table[truth]


def _marker(shape: tuple, head: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return where the marker's pixels lie: a box of 31 pixels with a letter, beside the head in the lower half."""
    marker = np.zeros(shape, bool)
    side, rows, columns = 31, shape[0], shape[1]
    free = []
    for _ in range(60):
        row = int(generator.integers(rows // 2, rows - side - 6))
        column = int(generator.integers(6, columns - side - 6))
        free.append((int(head[row : row + side, column : column + side].sum()), row, column))
    _, row, column = min(free)
    marker[row, column : column + side] = marker[row + side - 1, column : column + side] = True
    marker[row : row + side, column] = marker[row : row + side, column + side - 1] = True
    for x0, y0, x1, y1 in LETTERS[str(generator.choice(list(LETTERS)))]:
        steps = max(abs(x1 - x0), abs(y1 - y0)) + 1
        across = np.linspace(x0, x1, steps).round().astype(int) + column + 9
        down = np.linspace(y0, y1, steps).round().astype(int) + row + 6
        marker[down, across] = True
    return marker


def _noise(head: anatomy.Head, generator: np.random.Generator) -> np.ndarray:
    """Return the slice's noise in HU over the head's box: grain of a filtered reconstruction and radial streaks."""
    patient, shape = head.patient, head.inside.shape
    grain, streaks = patient.noise_grain
    white = generator.standard_normal(shape, dtype=np.float32)
    rows, columns = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None]
    frequency = np.hypot(rows, columns).astype(np.float32)
    response = np.sqrt(frequency + 0.02) * np.exp(-((frequency / np.float32(0.32 * grain)) ** 2))
    noise = fft.irfft2(fft.rfft2(white) * response, s=shape)
    noise /= noise.std()
    # Streaks: noise that is coherent for some millimetres along the radius, as from few or starved rays.
    polar = generator.standard_normal((1500, 150), dtype=np.float32)
    polar = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(polar, 3.5, axis=1), 0.9, axis=0, mode="wrap")
    polar /= polar.std()
    turn = np.arctan2(head.plain.y, head.plain.x) * np.float32(1500 / (2 * np.pi))
    radial = polar[turn.astype(np.int32) % 1500, np.clip(head.radius * 1.1, 0, 149).astype(np.int32)]
    weight = np.float32(streaks) * np.clip(head.radius / 60, 0, 1)
    noise = (noise + weight * radial) / np.sqrt(1 + weight**2)
    # More noise in the middle of the head and between the dense bones of its base.
    local = 1.1 - 0.25 * np.clip(head.radius / 70, 0, 1) + 0.25 * fade(head.height, -20, 12, 10)
    field = np.float32(patient.noise) * local * noise
    low = np.float32(2.2 * fade(head.height, -20, 14, 8))
    if low > 0:
        bands = ndimage.gaussian_filter1d(generator.standard_normal(400), 3.0).astype(np.float32)
        rows = np.clip((head.plain.y + 100) * 2, 0, 399).astype(np.int32)
        field += low * bands[rows] / bands.std() * np.exp(-np.abs(head.plain.y - 20) / 35)
    return field


def _tissue(head: anatomy.Head, old: np.ndarray | None, truth: np.ndarray) -> np.ndarray:
    """Return `Rendered.tissue` of a head with everything stamped; a lesion hides what else is there.

    Fluid is where the anatomy has it, also where the skull base is painted over it.
    """
    tissue = np.zeros_like(truth)
    inner = tissue[head.crop]
    inner[(head.csf > 0.5) & (head.inside > 0.5)] = TISSUES.index("fluid")
    if old is not None:
        inner[old] = TISSUES.index("old infarct")
    for box, coverage in head.calcium:
        inner[box][coverage > 0.5] = TISSUES.index("calcium")
    return np.where(truth > 0, truth, tissue)


def draw_slice(
    patient: Patient,
    planned: PlannedPatient,
    which: PlannedSlice,
    lesion: lesions.Lesion | None,
    seed: int,
    spec: PhantomSpec,
) -> Rendered:
    """Draw one slice; a pure function of seed, patient number and slice index."""
    generator = rng(seed, planned.number, 2, which.index)
    height = float(patient.heights[which.index])
    head = anatomy.build(patient, height, which.shape, lesion.mass(height) if lesion else None)
    skull.add_skull_base(head)
    old = lesions.stamp_old_infarct(head, seed, planned.number) if patient.old_infarct else None
    truth = np.zeros(which.shape, np.uint8)
    if lesion:
        truth[head.crop][lesions.stamp(head, lesion)] = LABELS.index(lesion.label)
    picture = ndimage.gaussian_filter(head.compose(), patient.blur)
    solid = ndimage.gaussian_filter((picture[head.crop] > -300).astype(np.float32), 1.0)
    picture[head.crop] += _noise(head, generator) * solid
    hu = np.clip(np.rint(picture), -1024, 3071).astype(np.int16)
    grey = window(hu, patient.width, patient.low)
    marker = _marker(which.shape, grey > 0, generator) if which.marker else np.zeros(which.shape, bool)
    return Rendered(hu, grey, truth, marker & (truth == 0), _tissue(head, old, truth))
