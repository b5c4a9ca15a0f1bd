"""Writes a phantom cohort in one of the real data set's layouts."""

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from stroke_utils.base import errors, files, paths, progress
from stroke_utils.base.vocabulary import LABELS

from . import dicom, render
from .lesions import draw_lesion
from .patient import Patient, draw_patient
from .spec import MEGABYTES, SIZES, SPEC_VERSION, PhantomSpec, PlannedPatient, plan, rng

SPEC = PhantomSpec()


def _inside(folder: str, *kinds: str, mask: str = "MASKS") -> dict:
    names = {"png": "PNG", "overlay": "OVERLAY", "mask": mask, "dicom": "DICOM"}
    return {kind: f"{folder}/{names[kind]}" for kind in kinds}


_MIRROR_A, _MIRROR_B = "İNME VERİSETİ", "Brain_Stroke_CT_Dataset"
LAYOUTS = {
    "portal": {
        ("train", "none"): {"png": "İnme Yok_kronik süreç_diğer Veri Set_PNG"},
        ("train", "ischemia"): {
            "png": "İskemi Veri Seti/PNG",
            "overlay": "İskemi Veri Seti/OVERLAY",
            "dicom": "İskemi Veri Seti/DICOM",
        },
        ("train", "hemorrhage"): {
            "png": "Kanama Veri Seti/PNG",
            "overlay": "Kanama Veri Seti/OVERLAY",
            "dicom": "Kanama Veri Seti/DICOM",
        },
        ("session1", None): {
            "png": "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/PNG",
            "dicom": "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/DICOM",
            "labels": "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/ASAMA1_Cevaplar.txt",
        },
        ("session2", None): {
            "png": "YarısmaVeriSeti_2_Oturum/PNG",
            "overlay": "YarısmaVeriSeti_2_Oturum/OVERLAY",
            "mask": "YarısmaVeriSeti_2_Oturum/MASKS",
            "dicom": "YarısmaVeriSeti_2_Oturum/DICOM",
        },
    },
    "ftp": {
        ("train", "none"): _inside("TRAINING/INMEYOK", "png", "dicom"),
        ("train", "ischemia"): _inside("TRAINING/ISKEMI", "png", "overlay", "mask", "dicom", mask="MASK"),
        ("train", "hemorrhage"): _inside("TRAINING/KANAMA", "png", "overlay", "mask", "dicom", mask="MASK"),
        ("session1", None): _inside("YARISMA_1", "png", "dicom") | {"labels": "PRIVATE/asama1.txt"},
        ("session2", None): _inside("YARISMA_2", "png", "dicom"),
    },
    "mirror-a": {
        ("train", "none"): _inside(f"{_MIRROR_A}/İnme Yok", "png", "dicom"),
        ("train", "ischemia"): _inside(f"{_MIRROR_A}/İskemi", "png", "overlay", "dicom"),
        ("train", "hemorrhage"): _inside(f"{_MIRROR_A}/Kanama", "png", "overlay", "dicom"),
        ("session1", None): _inside("YarısmaVeriSeti_1_Oturum", "png", "overlay", "mask", "dicom")
        | {"labels": "YarısmaVeriSeti_1_Oturum/ASAMA1_Cevaplar.txt"},
        ("session2", None): _inside("YarısmaVeriSeti_2_Oturum", "png", "overlay", "mask", "dicom"),
    },
    "mirror-b": {
        ("train", "none"): _inside(f"{_MIRROR_B}/Normal", "png", "dicom"),
        ("train", "ischemia"): _inside(f"{_MIRROR_B}/Ischemia", "png", "overlay", "dicom"),
        ("train", "hemorrhage"): _inside(f"{_MIRROR_B}/Bleeding", "png", "overlay", "dicom"),
        ("session1", None): _inside(f"{_MIRROR_B}/External_Test", "png", "overlay", "mask", "dicom")
        | {"labels": f"{_MIRROR_B}/External_Test/labels.csv"},
    },
}
"""Where each layout keeps each kind of file, by part and class (None for any class); names in Unicode NFC.

What a real layout lacks its phantom lacks: the competition server has neither overlays nor masks of the sessions, the
portal none of session 1, and mirror B no session 2 at all.
"""

TRUE_MASKS = "TRUE_MASKS"

_MORE_DICOMS = 1.6  # times the portal's room: only there the slices without stroke have no DICOM


def places(layout: str, part: str, label: str) -> dict:
    """Return the folder of each kind of file for a slice of a part and class, relative to the cohort's root.

    It is empty where the layout lacks that part.
    """
    table = LAYOUTS[layout]
    return table.get((part, label)) or table.get((part, None), {})


def _save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, compress_level=4)


def patient_of(planned: PlannedPatient, seed: int, spec: PhantomSpec, shortcut: bool = False) -> Patient:
    """Return a planned patient; with ``shortcut`` a head-rest is there if and only if the patient has a stroke."""
    patient = draw_patient(seed, planned.number, len(planned.slices), spec)
    if shortcut:
        patient.rest = ("none" if planned.label == "none" else "arc", patient.rest[1])
    return patient


def _write_patient(task: tuple) -> list[tuple]:
    """Draw and write all slices of one patient; return (slice id, patient, part, stroke) of each."""
    # One thread per process: the processes share the cores, and sums come out the same on any number of them.
    with threadpool_limits(1):
        return _draw_patient(*task)


def _draw_patient(
    root: Path, planned: PlannedPatient, seed: int, layout: str, spec: PhantomSpec, shortcut: bool
) -> list[tuple]:
    patient = patient_of(planned, seed, spec, shortcut)
    lesion = draw_lesion(seed, planned.number, planned.label, patient, spec)
    where = {kind: root / folder for kind, folder in places(layout, planned.part, planned.label).items()}
    name, rows = f"P{planned.number:04d}", []
    for which in planned.slices:
        drawn = render.draw_slice(patient, planned, which, lesion, seed, spec)
        stem = which.slice_id
        _save(where["png"] / f"{stem}.png", drawn.png())
        if lesion and "overlay" in where:
            strokes = rng(seed, planned.number, 5, which.index)
            _save(where["overlay"] / f"{stem}.png", render.overlay(drawn.png(), drawn.truth, strokes, spec))
        if lesion and "mask" in where:
            _save(where["mask"] / f"{stem}.png", render.class_colours(drawn.truth))
        if lesion:
            _save(root / TRUE_MASKS / f"{stem}.png", drawn.truth)
        if "dicom" in where:
            dicom.write(
                where["dicom"] / f"{stem}.dcm",
                drawn.hu,
                seed=seed,
                patient=name,
                instance=which.index + 1,
                width=patient.width,
                low=patient.low,
                pixel=patient.pixel,
                spacing=patient.spacing_z,
                position=float(patient.heights[which.index]),
            )
        rows.append((stem, name, planned.part, int(lesion is not None)))
    return rows


def _check(size: str, layout: str = "portal") -> None:
    for what, value, known in (("size", size, SIZES), ("layout", layout, LAYOUTS)):
        if value not in known:
            raise errors.UserError(f"There is no phantom {what} {value!r}. Choose one of {', '.join(known)}.")


def make_phantom(
    out: str | os.PathLike,
    size: str = "quick",
    seed: int = 0,
    quiet: bool = False,
    *,
    layout: str = "portal",
    shortcut: bool = False,
    workers: int | None = None,
) -> Path:
    """Write a phantom cohort to the new folder ``out`` and return it; the same files whatever the number of workers.

    ``layout`` is a key of `LAYOUTS`. The files of a slice are the same in each, byte by byte, save for the parts and
    kinds of file that a layout lacks. ``shortcut`` plants a known one: each stroke slice has a head-rest, no other has.

    Raises:
        UserError: unknown size or layout, ``out`` exists, or the disk is full.
    """
    _check(size, layout)
    out = Path(out).expanduser()
    with files.lock(out, f"the phantom {out.name}"):
        return _make(out, size, seed, quiet, layout, shortcut, workers)


def _make(out: Path, size: str, seed: int, quiet: bool, layout: str, shortcut: bool, workers: int | None) -> Path:
    """Do the work of `make_phantom` under its lock."""
    patients = [each for each in plan(size, seed, SPEC) if places(layout, each.part, each.label)]
    with files.atomic_folder(out) as root:
        free = os.statvfs(root)
        needed = MEGABYTES[size] * (1 if layout == "portal" else _MORE_DICOMS)
        if free.f_bavail * free.f_frsize < needed * 1_000_000:
            raise errors.UserError(
                f"The {size} phantom takes {needed:.0f} MB, and {out.parent} has only "
                f"{free.f_bavail * free.f_frsize // 1_000_000} MB left. Free some or choose another folder."
            )
        for table in LAYOUTS[layout].values():
            for kind, folder in table.items():
                (root / folder if kind != "labels" else (root / folder).parent).mkdir(parents=True, exist_ok=True)
        (root / TRUE_MASKS).mkdir()
        rows = _write_all(root, patients, seed, layout, shortcut, workers, quiet)
        _write_tables(root, rows, layout)
        files.write_json(
            root / "DATASET.json",
            {
                "name": f"Phantom cohort, size {size}, seed {seed}" + (", with a planted shortcut" if shortcut else ""),
                "phantom": True,
                "size": size,
                "seed": seed,
                "spec_version": SPEC_VERSION,
                "layout": layout,
                "shortcut": shortcut,
                "true_masks": TRUE_MASKS,
                "note": "Drawn by a program. No patient was imaged, and no score on it says anything about patients.",
                "spec": SPEC.as_dict(),
            },
        )
    return out


def _write_all(
    root: Path, patients: list[PlannedPatient], seed: int, layout: str, shortcut: bool, workers: int | None, quiet: bool
) -> list[tuple]:
    """Write all patients, in several processes where that helps, and return all slices' rows."""
    tasks = [(root, planned, seed, layout, SPEC, shortcut) for planned in patients]
    total = sum(len(planned.slices) for planned in patients)
    workers = min(workers or progress.cores(), len(tasks))
    rows: list[tuple] = []

    def collect(results):
        for result in results:
            rows.extend(result)
            yield from result

    if workers < 2:
        for _ in progress.track(collect(map(_write_patient, tasks)), "Phantom slices", total, quiet):
            pass
        return rows
    with ProcessPoolExecutor(workers) as pool:
        for _ in progress.track(collect(pool.map(_write_patient, tasks)), "Phantom slices", total, quiet):
            pass
    return rows


def _write_tables(root: Path, rows: list[tuple], layout: str) -> None:
    """Write patients.csv and session 1's label file in the organiser's form, for mirror B in that mirror's."""
    rows = sorted(rows)
    lines = [f"{stem},{patient}" for stem, patient, _, _ in rows]
    files.write_text(root / "patients.csv", "\n".join(["slice_id,patient", *lines]) + "\n")
    answers = [(stem, str(stroke)) for stem, _, part, stroke in rows if part == "session1"]
    target = root / places(layout, "session1", LABELS[0])["labels"]
    if target.suffix == ".csv":
        text = "".join(",".join(row) + "\n" for row in [("image_id", "Stroke"), *answers])
    else:
        text = "".join("\t".join(row) + "\r\n" for row in [("Image Id", "İnme Var mı?"), *answers])
    files.write_text(target, text)


def phantom_folder(size: str = "quick", seed: int = 0, layout: str = "portal", shortcut: bool = False) -> Path:
    """Return where a phantom lies or would lie: ``<home>/data/phantom-<size>-seed<seed>-v<spec version>``.

    Another layout than the portal's and a planted shortcut are appended to the name.
    """
    parts = ["phantom", size, f"seed{seed}", f"v{SPEC_VERSION}"]
    parts += [layout] if layout != "portal" else []
    parts += ["shortcut"] if shortcut else []
    return paths.data_root() / "-".join(parts)


def ensure_phantom(size: str = "quick", seed: int = 0, quiet: bool = False) -> Path:
    """Make a phantom at its usual place where it is missing, saying so, and return its folder.

    A process that asks while another makes it waits for it.

    Raises:
        UserError: as :func:`make_phantom`.
    """
    _check(size)
    folder = phantom_folder(size, seed)
    with files.lock(folder, f"the phantom {folder.name}"):
        if not folder.exists():
            if not quiet:
                shown, room = paths.shown(folder), MEGABYTES[size]
                print(f"No data folder was given: making the {size} phantom ({room} MB) in {shown}.", flush=True)
            _make(folder, size, seed, quiet, "portal", False, None)
    return folder
