"""Reads what single files hold: colours of a PNG, Hounsfield units and the patient of a DICOM."""

import os
import warnings

import numpy as np
from PIL import Image

from stroke_utils import vocabulary


def read_rgb(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to RGB, whatever its mode; alpha is dropped.

    Returns:
        uint8 array (height, width, 3).

    Raises:
        OSError, SyntaxError, ValueError: the file can't be decoded.
    """
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def packed(rgb: np.ndarray) -> np.ndarray:
    """Give every pixel of an RGB uint8 array (H, W, 3) as one number, so that a colour is one comparison."""
    channels = rgb[..., :3].astype(np.uint32)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]


def painted_types(rgb: np.ndarray) -> list[str]:
    """Tell which stroke types a mask or an overlay shows, by exact border and mask colours, the most frequent first.

    The border colours of an overlay contain the fill colours of the organiser's masks, so both kinds of file are
    read alike. RGB uint8 array (H, W, 3) in, subset of ``vocabulary.TYPES`` out.
    """
    pixels, counts = packed(rgb), {}
    for name, colours in vocabulary.BORDER_COLOURS.items():
        codes = [r << 16 | g << 8 | b for r, g, b in colours]
        counts[name] = sum(int(np.count_nonzero(pixels == code)) for code in codes)
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])


def grey_levels(rgb: np.ndarray) -> int:
    """Count the different grey values among the uncoloured pixels of an RGB uint8 array (H, W, 3).

    The release maps a CT window of w Hounsfield units to 0–255 in w steps, so this is the width of the window.
    """
    grey = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
    return len(np.unique(rgb[..., 0][grey]))


def read_patient(path: str | os.PathLike) -> str | None:
    """Return the patient id in a DICOM file's header, or None where it is empty; pixels are not read.

    Raises:
        OSError, pydicom.errors.InvalidDicomError, ValueError and others: not a whole DICOM file.
    """
    import pydicom  # here, because it takes a quarter of a second that a folder without DICOMs need not spend

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values in tags that are not used here
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    return str(header.get("PatientID") or "").strip() or None


def read_hounsfield(path: str | os.PathLike) -> np.ndarray:
    """Decode a CT slice from a DICOM file.

    Returns:
        float array (height, width) in Hounsfield units: the stored values after the file's rescale slope and intercept.

    Raises:
        OSError, pydicom.errors.InvalidDicomError, ValueError and others: not a whole DICOM file.
    """
    import pydicom
    from pydicom.pixels import apply_modality_lut

    dataset = pydicom.dcmread(path)
    return apply_modality_lut(dataset.pixel_array, dataset)


def window(hounsfield: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Map Hounsfield units to grey values 0–255 as a CT window does: black below it, white above it.

    Array of any shape in, uint8 array of that shape out.
    """
    low = centre - width / 2
    return np.uint8(np.round(255 * np.clip((hounsfield - low) / width, 0, 1)))
