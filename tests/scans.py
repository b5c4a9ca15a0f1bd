"""A drawn scan as a scanner and a disc leave it: tilted, names that tell nothing, and files that are no slices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from threadpoolctl import threadpool_limits

from stroke_utils.phantom import PhantomSpec, dicom, render
from stroke_utils.phantom.lesions import draw_lesion
from stroke_utils.phantom.patient import draw_patient
from stroke_utils.phantom.spec import PlannedPatient, PlannedSlice

SEED, NUMBER, SLICES, SHAPE = 700, 2, 30, (240, 224)
PIXEL, DISTANCE, TILT = 0.98, 3.0, 20.0  # mm, mm along the normal, degrees of the gantry
BLEEDING, ISCHEMIC, TORN = range(4, 12), range(15, 24), 18  # slices from below; the torn one lies in a lesion


@dataclass(frozen=True)
class Scan:
    """A written scan: its folder, the true class masks from below, uint8 (30, 240, 224), and each slice's file."""

    folder: Path
    truth: np.ndarray
    files: list


def save(dataset, path, **tags):
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


def write_scan(folder):
    """Write 30 slices of one drawn head with a bleeding below and an ischemia above, two localizers and a text."""
    spec = PhantomSpec(
        slice_spacing=(DISTANCE,), pixel_spacing=(PIXEL, PIXEL), wide_field_fraction=0, lesion_area_limits=(450, 2000)
    )
    patient = draw_patient(SEED, NUMBER, SLICES, spec)
    planned = PlannedPatient(NUMBER, "train", "none", ())
    lesions = {label: draw_lesion(SEED, NUMBER, label, patient, spec) for label in ("hemorrhage", "ischemia")}
    lean, rng = np.radians(TILT), np.random.default_rng(0)
    names, numbers = rng.permutation(SLICES), 1 + rng.permutation(SLICES)
    truth, files, plain = [], [], folder.parent / "plain.dcm"
    for k in range(SLICES):
        lesion = lesions["hemorrhage"] if k in BLEEDING else lesions["ischemia"] if k in ISCHEMIC else None
        with threadpool_limits(1):
            drawn = render.draw_slice(patient, planned, PlannedSlice(str(k), k, SHAPE, False), lesion, SEED, spec)
        about = {"seed": SEED, "patient": "P0002", "instance": int(numbers[k]), "width": patient.width}
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
    for k in range(2):
        scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
        save(pydicom.dcmread(files[k]), folder / f"S0/IM9{k}", **scout)
    files[TORN].write_bytes(files[TORN].read_bytes()[:60_000])
    (folder / "README").write_text("A disc of pictures.")
    return Scan(folder, np.stack(truth), files)
