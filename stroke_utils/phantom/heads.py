"""Heads in memory, for networks that learn before they see a cohort: drawn, resized and labelled, never written.

A cohort's seed is small (the course's is 0). Heads for learning are drawn from other seeds, so they share no patient
with it: every number of a patient comes from `spec.rng` with the seed as its first key.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from stroke_utils.base import progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import LABELS

from . import render
from .lesions import draw_lesion
from .patient import draw_patient
from .spec import PhantomSpec, PlannedPatient, PlannedSlice, rng

SHARES = (0.5, 0.25, 0.25)
"""Share of heads of each of `LABELS`, about as in the training set."""

WEIGHTS = (1, 2, 2, 2, 1, 20)
"""How much a pixel of each of `render.TISSUES` counts when a cell of a map chooses its class. Calcifications are some
thirty pixels of the 455 of a cell and would never win by area."""

_SPEC = PhantomSpec()


@dataclass
class Heads:
    """Drawn slices in memory.

    Attributes:
        pictures: uint8 (n, size, size), grey, resized bilinearly with antialiasing and without regard to the aspect.
        tissues: uint8 (n, cells, cells), place in `render.TISSUES` of what weighs most in each cell.
        labels: uint8 (n,), place of each slice's class in `vocabulary.LABELS`.
        patients: int64 (n,), number of each slice's patient within its seed.
    """

    pictures: np.ndarray
    tissues: np.ndarray
    labels: np.ndarray
    patients: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def joined(cls, parts: Iterable["Heads"]) -> "Heads":
        """Return the slices of all parts, one part after the other; at least one part is needed."""
        parts = list(parts)
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def plan_heads(seed: int, numbers: Iterable[int], spec: PhantomSpec = _SPEC) -> list[PlannedPatient]:
    """Plan one slice of each of many patients: as many different heads as slices, which is what teaches most.

    A patient has as many slices as any of a cohort, and the one that is drawn lies anywhere among them. It bears no
    marker.

    Args:
        seed: of the phantom; a cohort of the same seed shares patients with it.
        numbers: of the patients, from 1. A patient depends on seed and number alone.
        spec: constants of the phantom.
    """
    planned = []
    for number in numbers:
        generator = rng(seed, number, 6)
        label = LABELS[generator.choice(len(LABELS), p=SHARES)]
        count = int(generator.choice(spec.slices_per_patient, p=spec.slices_weights))
        odd = generator.random() < spec.odd_shape_fraction
        shape = tuple(spec.odd_shapes[generator.integers(len(spec.odd_shapes))]) if odd else (512, 512)
        chosen = PlannedSlice(f"{number:05d}", int(generator.integers(count)), shape, False)
        # The other slices are counted when the patient is drawn, and only counted.
        planned.append(PlannedPatient(int(number), "train", label, (chosen,) * count))
    return planned


def draw_heads(
    planned: Sequence[PlannedPatient],
    seed: int,
    size: int,
    cells: int | None = None,
    workers: int | None = None,
    spec: PhantomSpec = _SPEC,
) -> Iterator[Heads]:
    """Draw the planned slices of each patient and keep what a network needs of them.

    Args:
        planned: of `plan_heads`, or patients of `spec.plan`, whose slices are those of a written cohort.
        seed: of the phantom, the same as the plan's.
        size: side of the pictures in pixels.
        cells: side of the tissue maps; a quarter of ``size`` when it is left out.
        workers: processes; one a core when it is left out. The slices do not depend on it.
        spec: constants of the phantom.

    Yields:
        The slices of one patient after the other, in the plan's order. `Heads.joined` puts them together.

    Raises:
        UserError: a size or number of cells that no picture can have.
    """
    cells = size // 4 if cells is None else cells
    if not 1 <= cells <= size:
        raise UserError(f"A map of {cells} × {cells} cells does not fit a picture of {size} × {size} pixels.")
    tasks = [(patient, seed, size, cells, spec) for patient in planned]
    workers = min(workers or progress.cores(), len(tasks))
    if workers < 2:
        yield from map(_draw, tasks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_draw, tasks, chunksize=max(1, min(8, len(tasks) // workers)))


def _draw(task: tuple) -> Heads:
    """Draw the distinct slices of one patient, in one thread, as `writer` draws them."""
    planned, seed, size, cells, spec = task
    with threadpool_limits(1):
        patient = draw_patient(seed, planned.number, len(planned.slices), spec)
        lesion = draw_lesion(seed, planned.number, planned.label, patient, spec)
        drawn = [
            render.draw_slice(patient, planned, which, lesion, seed, spec) for which in dict.fromkeys(planned.slices)
        ]
    return Heads(
        np.stack([np.asarray(_shrunk(each.grey, size, Image.Resampling.BILINEAR)) for each in drawn]),
        np.stack([_cells(each.tissue, cells) for each in drawn]),
        np.full(len(drawn), LABELS.index(planned.label), np.uint8),
        np.full(len(drawn), planned.number, np.int64),
    )


def _shrunk(picture: np.ndarray, size: int, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), how))


def _cells(tissue: np.ndarray, cells: int) -> np.ndarray:
    """Return the class that weighs most in each cell, uint8 (cells, cells)."""
    weights = [
        weight * _shrunk((tissue == value).astype(np.float32), cells, Image.Resampling.BOX)
        for value, weight in enumerate(WEIGHTS)
    ]
    return np.argmax(weights, axis=0).astype(np.uint8)
