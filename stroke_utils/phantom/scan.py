"""Draws one head's scan as a disc holds it: tilted, under names that tell nothing, with files that are no slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from threadpoolctl import threadpool_limits

from . import dicom, render
from .lesions import draw_lesion
from .patient import draw_patient
from .spec import PhantomSpec, PlannedPatient, PlannedSlice

SLICES, SHAPE = 30, (240, 224)
PIXEL, DISTANCE, TILT = 0.98, 3.0, 20.0
"""Side of a pixel and distance of the slices along their normal, mm; degrees by which the gantry is tilted."""

LESIONS = {"hemorrhage": range(10, 18), "ischemia": range(19, 28)}
"""On which slices from below each lesion lies."""

NOTE = "A disc of pictures."

TORN = 22
"""The slice whose file is cut short; it lies in a lesion."""


@dataclass(frozen=True)
class Scan:
    """A written scan.

    Attributes:
        folder: of its files.
        truth: the true class masks from below, uint8 (30, 240, 224).
        files: the file of each slice from below.
    """

    folder: Path
    truth: np.ndarray
    files: list[Path]

    def volumes(self) -> dict[str, float]:
        """Return the true ml of each lesion, the torn slice included."""
        voxel = PIXEL**2 * DISTANCE / 1000
        return {name: float(np.count_nonzero(self.truth == k) * voxel) for name, k in _VALUES.items()}


_VALUES = {"ischemia": 1, "hemorrhage": 2}


def save(dataset: pydicom.Dataset, path: Path, **tags: object) -> Path:
    """Write a data set under another name as a file of its own; ``tags`` are set, or removed where None."""
    for name, value in tags.items():
        if value is None:
            del dataset[name]
        else:
            setattr(dataset, name, value)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path


def write_scan(
    folder: Path, seed: int = 700, number: int = 5, lesions: Sequence[str] = ("hemorrhage", "ischemia")
) -> Scan:
    """Write 30 slices of one drawn head with a bleeding below and an ischemia above, two localizers and a text.

    Args:
        folder: new folder.
        seed, number: of the head.
        lesions: which lesions it has; none gives a healthy head.
    """
    spec = PhantomSpec(
        slice_spacing=(DISTANCE,), pixel_spacing=(PIXEL, PIXEL), wide_field_fraction=0, lesion_area_limits=(450, 2000)
    )
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "README").write_text(NOTE)  # first: what is left of a stopped drawing is known by it
    patient = draw_patient(seed, number, SLICES, spec)
    planned = PlannedPatient(number, "train", "none", ())
    drawn_lesions = {label: draw_lesion(seed, number, label, patient, spec) for label in lesions}
    lean, rng = np.radians(TILT), np.random.default_rng(0)
    names, numbers = rng.permutation(SLICES), 1 + rng.permutation(SLICES)
    truth, files, plain = [], [], folder / "plain.dcm"
    for k in range(SLICES):
        lesion = next((drawn_lesions[label] for label in lesions if k in LESIONS[label]), None)
        with threadpool_limits(1):
            drawn = render.draw_slice(patient, planned, PlannedSlice(str(k), k, SHAPE, False), lesion, seed, spec)
        about = {"seed": seed, "patient": f"P{number:04d}", "instance": int(numbers[k]), "width": patient.width}
        about |= {"low": patient.low, "pixel": PIXEL, "spacing": 7.0, "position": 0.0}  # the thickness misleads
        dicom.write(plain, drawn.hu, **about)
        # The table moves along z; the planes lean, so along their normal it is the cosine of that.
        place = {
            "ImageOrientationPatient": [1, 0, 0, 0, np.cos(lean), np.sin(lean)],
            "ImagePositionPatient": [-110.0, -100.0, float(f"{-40 + k * DISTANCE / np.cos(lean):.6g}")],
        }
        place["ImageOrientationPatient"] = [float(f"{each:.8g}") for each in place["ImageOrientationPatient"]]
        target = folder / f"S{names[k] % 3}" / f"IM{names[k]:04d}"
        files.append(save(pydicom.dcmread(plain), target, SliceLocation=None, **place))
        truth.append(drawn.truth)
    plain.unlink()
    for k in range(2):
        scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
        save(pydicom.dcmread(files[k]), folder / f"S0/IM9{k}", **scout)
    files[TORN].write_bytes(files[TORN].read_bytes()[:60_000])
    return Scan(folder, np.stack(truth), files)
