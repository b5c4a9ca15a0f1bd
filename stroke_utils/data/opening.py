"""Opens whichever cohort a person asks for: a folder of theirs, or the phantom."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils import phantom
from stroke_utils.base import paths
from stroke_utils.base.errors import UserError
from stroke_utils.data.class_masks import true_mask
from stroke_utils.data.cohort import Cohort, read_cohort
from stroke_utils.data.masks import from_mask_file
from stroke_utils.data.pixels import read_rgb
from stroke_utils.phantom import lesions, render, scan, spec, writer
from stroke_utils.phantom.patient import Patient

TISSUES = render.TISSUES
"""What the values of :func:`drawn_tissue` stand for."""


def open_cohort(data_dir: str | os.PathLike = "", size: str = "quick", seed: int = 0, quiet: bool = False) -> Cohort:
    """Read the cohort at ``data_dir``, else at ``STROKE_DATA``, else the phantom, which is made when it is missing.

    A notebook process that asks while another makes the phantom waits for it.

    Raises:
        UserError: as :func:`stroke_utils.data.read_cohort` and :func:`stroke_utils.phantom.make_phantom`.
    """
    chosen = data_dir or os.environ.get("STROKE_DATA")
    return read_cohort(Path(chosen).expanduser(), quiet=quiet) if chosen else open_phantom(size, seed, quiet)


def open_phantom(size: str = "quick", seed: int = 0, quiet: bool = False) -> Cohort:
    """Read the phantom, which is made when it is missing, whatever ``STROKE_DATA`` names."""
    return read_cohort(phantom.ensure_phantom(size, seed, quiet), quiet=quiet)


def data_at_hand(size: str = "quick", seed: int = 0) -> tuple[str, str]:
    """Say which data :func:`open_cohort` would find without a folder, reading none of them, and what to do if none.

    Returns:
        what is there, and what to do; the second is empty where nothing is.
    """
    if chosen := os.environ.get("STROKE_DATA"):
        folder = Path(chosen).expanduser()
        if folder.is_dir() and any(folder.iterdir()):
            return f"STROKE_DATA names {paths.shown(folder)}", ""
        return "STROKE_DATA names no folder with files", "Set it to the unpacked data set, or unset it."
    if phantom.phantom_folder(size, seed).is_dir():
        return "the phantom is there", ""
    return "none yet", "Nothing: the first notebook that needs slices draws the phantom, or takes your data_dir."


def old_infarcts(cohort: Cohort, slices: pd.DataFrame) -> pd.Series:
    """Count the pixels of old infarct on slices of the phantom; its files mark acute lesions only, as the real ones do.

    Slices of patients with an old infarct are drawn again, some tenths of a second each.

    Args:
        cohort: the cohort of the slices.
        slices: rows with ``slice_id``.

    Returns:
        pixels of each slice, with the index of ``slices``; missing where the cohort is no phantom of today's program.
    """
    planned, found = _planned(cohort), []
    if planned is None:
        return pd.Series(pd.NA, slices.index, "Int64")
    for slice_id in slices["slice_id"]:
        owner, which = planned[slice_id]
        patient = _patient(cohort, owner)
        tissue = _tissue(cohort, owner, which, patient) if patient.old_infarct else np.zeros(0)
        found.append(int((tissue == TISSUES.index("old infarct")).sum()))
    return pd.Series(found, slices.index, "Int64")


def lesion(cohort: Cohort, row: tuple) -> np.ndarray | None:
    """Return the class mask of a slice as the data set has it, uint8 (H, W) of 0/1/2, or None where it has none.

    Args:
        cohort: of the slice.
        row: of its table of slices.
    """
    known = true_mask(cohort, row.slice_id)
    if known is None and isinstance(row.mask, str):
        known = from_mask_file(read_rgb(row.mask))
    return known


def open_control(size: str = "quick", seed: int = 0, quiet: bool = False) -> Cohort:
    """Read the phantom with the planted shortcut, in which the head-rest tells stroke; it is made when missing.

    Raises:
        UserError: as :func:`open_cohort`.
    """
    folder = phantom.phantom_folder(size, seed, shortcut=True)
    if not folder.exists():
        try:
            phantom.make_phantom(folder, size, seed, quiet, shortcut=True)
        except UserError:
            if not folder.exists():  # else another process has just made it
                raise
    return read_cohort(folder, quiet=quiet)


def drawn_scan(folder: str | os.PathLike, sick: bool = True, number: int = 5) -> scan.Scan:
    """Draw one head's scan into a new folder, as a disc holds it: 30 DICOM slices, two localizers and a text.

    Names and counts are shuffled, the gantry is tilted, one file is cut short.

    Args:
        folder: written anew; an older one of this function, whole or not, is removed.
        sick: whether it has a bleeding below and an ischemia above.
        number: of the head.

    Raises:
        UserError: the folder has something else in it.
    """
    folder = Path(folder)
    if folder.exists():
        if not (folder / "README").is_file() or (folder / "README").read_bytes() != scan.NOTE.encode():
            raise UserError(
                f"{folder} is no drawn scan, and one is to be drawn there. Remove it, or give another folder."
            )
        shutil.rmtree(folder)
    return scan.write_scan(folder, number=number, lesions=tuple(scan.LESIONS) if sick else ())


def drawn_tissue(cohort: Cohort, slice_ids: list[str]) -> dict[str, np.ndarray]:
    """Say what lies at each pixel of some of the phantom's slices, which are drawn once more for it.

    Args:
        cohort: of the slices.
        slice_ids: slices of it.

    Returns:
        By slice id, uint8 (H, W) of places in :data:`TISSUES`; nothing for real data, where nobody knows, and for a
        phantom of another version.
    """
    planned = _planned(cohort) or {}
    return {
        slice_id: _tissue(cohort, owner, which, _patient(cohort, owner))
        for slice_id, (owner, which) in planned.items()
        if slice_id in slice_ids
    }


def _planned(cohort: Cohort) -> dict[str, tuple] | None:
    """Return the plan of each slice, with its patient's, by slice id; None for what today's program did not draw."""
    origin = cohort.origin
    if not origin.get("phantom") or origin.get("spec_version") != spec.SPEC_VERSION:
        return None
    patients = spec.plan(origin["size"], origin["seed"], writer.SPEC)
    return {which.slice_id: (owner, which) for owner in patients for which in owner.slices}


def _patient(cohort: Cohort, owner: spec.PlannedPatient) -> Patient:
    return writer.patient_of(owner, cohort.origin["seed"], writer.SPEC, cohort.origin["shortcut"])


def _tissue(cohort: Cohort, owner: spec.PlannedPatient, which: spec.PlannedSlice, patient: Patient) -> np.ndarray:
    """Draw a slice of the phantom once more and return what lies at each of its pixels."""
    seed = cohort.origin["seed"]
    lesion = lesions.draw_lesion(seed, owner.number, owner.label, patient, writer.SPEC)
    return render.draw_slice(patient, owner, which, lesion, seed, writer.SPEC).tissue
