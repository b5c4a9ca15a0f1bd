"""Constants, sizes and the patient list of the phantom cohort. Nothing random happens outside `rng` and `plan`."""

from dataclasses import asdict, dataclass

import numpy as np

SPEC_VERSION = 4
"""Raise with every change of `PhantomSpec` or of the drawing code: folder names and caches depend on it."""

SIZES = {
    "tiny": {
        "train": {"none": 12, "ischemia": 6, "hemorrhage": 6},
        "session1": {"none": 6, "ischemia": 3, "hemorrhage": 3},
        "session2": {"ischemia": 3, "hemorrhage": 3},
    },
    "quick": {
        "train": {"none": 450, "ischemia": 225, "hemorrhage": 225},
        "session1": {"none": 130, "ischemia": 35, "hemorrhage": 35},
        "session2": {"ischemia": 50, "hemorrhage": 50},
    },
    # The article counts 1131 training ischemias where the information note has 1130; only with 1131
    # does the release add up to 6951 slices.
    "paper": {
        "train": {"none": 4427, "ischemia": 1131, "hemorrhage": 1093},
        "session1": {"none": 130, "ischemia": 35, "hemorrhage": 35},
        "session2": {"ischemia": 50, "hemorrhage": 50},
    },
}
"""Slices per size, part and class."""

MEGABYTES = {"tiny": 12, "quick": 320, "paper": 1750}
"""Disk use of each size, rounded up."""

FIRST_ID, LAST_ID = 10000, 17033
"""Range of the release's five-digit slice ids."""


@dataclass(frozen=True)
class PhantomSpec:
    """Every distribution the phantom draws from. Pairs are the ends of a uniform range unless said otherwise.

    Lengths in millimetres, attenuation in Hounsfield units (HU), angles in degrees, areas in pixels of 512×512.
    """

    # Display. The number of grey levels equals the window width.
    window_widths: tuple = (80, 85, 95, 99, 100, 110, 120)
    window_weights: tuple = (0.26, 0.08, 0.06, 0.08, 0.22, 0.06, 0.24)
    window_centre: tuple = (40.0, 2.5)  # mean, standard deviation
    unusual_window_fraction: float = 0.20
    unusual_window_offset: tuple = (12.0, 20.0)  # to either side of the mean
    odd_shape_fraction: float = 0.03
    odd_shapes: tuple = ((584, 512), (512, 584), (512, 611), (536, 536))  # rows, columns
    marker_fraction: float = 0.015
    # Patients and geometry.
    slices_per_patient: tuple = (3, 4, 5, 6, 7, 8)
    slices_weights: tuple = (0.78, 0.11, 0.05, 0.03, 0.02, 0.01)
    slice_spacing: tuple = (3.0, 4.0, 5.0, 6.0)
    levels: tuple = (12.0, 52.0, 86.0)  # least, most frequent and greatest height of the middle slice above the base
    pixel_spacing: tuple = (0.36, 0.50)
    wide_field_fraction: float = 0.13
    wide_field_spacing: tuple = (0.52, 0.66)
    head_scale: tuple = (0.93, 1.05)
    rotation_sd: float = 4.0
    age: tuple = (1.2, 3.0)  # beta distribution of atrophy, 0 to 1
    strong_rotation_fraction: float = 0.06
    strong_rotation: tuple = (12.0, 30.0)
    shift: float = 10.0  # at most, and never so far that much of the head leaves the frame
    # Tissue.
    grey_matter: tuple = (35.5, 39.5)
    grey_white_difference: tuple = (5.0, 8.5)
    bone: tuple = (3.6, 10.0)
    csf: tuple = (4.0, 10.0)
    blur_sd: tuple = (0.55, 0.95)  # pixels
    noise_sd: tuple = (2.1, 4.6)
    noisy_fraction: float = 0.27
    noisy_sd: tuple = (5.0, 8.5)
    noise_grain: tuple = (0.30, 0.88)
    noise_streaks: tuple = (0.0, 0.7)
    old_infarct_fraction: float = 0.18
    plexus_fraction: float = 0.55
    pineal_fraction: float = 0.45
    # Lesions.
    hemorrhage_area: tuple = (5200.0, 0.65)  # median and log standard deviation
    ischemia_area: tuple = (7500.0, 0.6)
    lesion_area_limits: tuple = (450.0, 15000.0)
    hemorrhage_value: tuple = (55.0, 80.0)
    hemorrhage_extra_parts: float = 0.30
    hemorrhage_ventricle: float = 0.25
    hemorrhage_subdural: float = 0.10
    ischemia_drop: tuple = (11.0, 18.0)
    ischemia_faint_fraction: float = 0.28
    ischemia_faint_drop: tuple = (0.3, 2.2)
    border_gap_fraction: float = 0.3
    border_gaps: tuple = (0.01, 0.04)

    def as_dict(self) -> dict:
        """Return all constants as plain JSON values."""
        return asdict(self)


def rng(seed: int, *keys: int) -> np.random.Generator:
    """Return the generator of one thing to draw: a pure function of the seed and the integers that name the thing."""
    return np.random.default_rng([int(seed), *(int(k) for k in keys)])


@dataclass(frozen=True)
class PlannedSlice:
    """One slice to draw: its id, place in the patient, frame in rows and columns, and whether it bears a marker."""

    slice_id: str
    index: int
    shape: tuple
    marker: bool


@dataclass(frozen=True)
class PlannedPatient:
    """One patient to draw: number (also the key of its random stream), part, class and slices."""

    number: int
    part: str
    label: str
    slices: tuple


def _split(total: int, spec: PhantomSpec, generator: np.random.Generator) -> list[int]:
    """Cut ``total`` slices into patients of the spec's sizes, so that nothing is left over."""
    sizes, weights = np.array(spec.slices_per_patient), np.array(spec.slices_weights)
    counts = []
    while total:
        fits = (total == sizes) | (total - sizes >= sizes.min())
        counts.append(int(generator.choice(sizes[fits], p=weights[fits] / weights[fits].sum())))
        total -= counts[-1]
    return counts


def plan(size: str, seed: int, spec: PhantomSpec) -> list[PlannedPatient]:
    """Return the patients of a cohort with their slices' ids, frames and markers.

    Ids are a random sample of the release's range, so that neither id nor patient number tells part, class or
    patient. Odd frames and markers are given to a fixed share of all slices whatever their class.
    """
    generator = rng(seed, 0)
    groups = []
    for part, classes in SIZES[size].items():
        for label, total in classes.items():
            groups += [(part, label, count) for count in _split(total, spec, generator)]
    slices = sum(count for _, _, count in groups)
    ids = FIRST_ID + generator.permutation(LAST_ID - FIRST_ID + 1)[:slices]
    odd = generator.permutation(slices)[: max(1, round(spec.odd_shape_fraction * slices))]
    shapes = dict(zip(odd.tolist(), generator.integers(len(spec.odd_shapes), size=len(odd)), strict=True))
    marked = set(generator.permutation(slices)[: max(1, round(spec.marker_fraction * slices))].tolist())
    numbers = 1 + generator.permutation(len(groups))
    patients, first = [], 0
    for number, (part, label, count) in zip(numbers, groups, strict=True):
        planned = tuple(
            PlannedSlice(
                slice_id=str(ids[k]),
                index=k - first,
                shape=tuple(spec.odd_shapes[shapes[k]]) if k in shapes else (512, 512),
                marker=k in marked,
            )
            for k in range(first, first + count)
        )
        patients.append(PlannedPatient(int(number), part, label, planned))
        first += count
    return patients
