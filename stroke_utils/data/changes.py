"""A slice as another scan or another viewer would show it: more noise, a turned head, another window."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from PIL import Image

from stroke_utils.data.dicom import read_hounsfield, window
from stroke_utils.data.pixels import grey_levels, read_rgb


def noisier(rgb: np.ndarray, hounsfield: float, seed: int = 0) -> np.ndarray:
    """Add normal noise of a standard deviation in Hounsfield units to a slice, uint8 (H, W, 3) in and out.

    A slice has one grey level for each Hounsfield unit of its window. Black and white stay as they are: air and bone
    lie so far outside the window that noise does not bring them into it.
    """
    grey = rgb[..., 0].astype(float)
    noise = np.random.default_rng(seed).normal(0, hounsfield * 255 / max(1, grey_levels(rgb) - 1), grey.shape)
    changed = np.where((grey > 0) & (grey < 255), grey + noise, grey)
    return np.repeat(np.uint8(np.clip(np.rint(changed), 0, 255))[..., None], 3, axis=-1)


def turned(rgb: np.ndarray, degrees: float) -> np.ndarray:
    """Turn a slice about its middle, uint8 (H, W, 3) in and out; what comes in from outside is black."""
    return np.asarray(Image.fromarray(rgb).rotate(degrees, Image.Resampling.BILINEAR))


def windowed(row: tuple, centre: float, width: float) -> np.ndarray:
    """Show a slice through another CT window, uint8 (H, W, 3): made anew from its DICOM file.

    Args:
        row: of the slices table, with ``dicom``.
        centre, width: of the window, in Hounsfield units.

    Raises:
        DicomError: the file is none that can be read.
    """
    return np.repeat(window(read_hounsfield(row.dicom), centre, width)[..., None], 3, axis=-1)


CHANGES: dict[str, Callable[[tuple], np.ndarray]] = {
    "as it is": lambda row: read_rgb(row.png),
    "mirrored": lambda row: read_rgb(row.png)[:, ::-1],
    "noise of 4 HU more": lambda row: noisier(read_rgb(row.png), 4, int(row.Index)),
    "noise of 8 HU more": lambda row: noisier(read_rgb(row.png), 8, int(row.Index)),
    "turned by 10°": lambda row: turned(read_rgb(row.png), 10),
    "turned by 30°": lambda row: turned(read_rgb(row.png), 30),
    "narrow window, 40 HU": lambda row: windowed(row, 40, 40),
    "wide window, 200 HU": lambda row: windowed(row, 40, 200),
}
"""Functions of a row of the slices table (``itertuples``), by name; the first changes nothing, the last two need DICOM
files. A number in the table's index makes the noise of each slice its own, and the same in every run."""


def possible(slices: pd.DataFrame) -> list[str]:
    """Return the names of the changes that all of some rows of the slices table allow."""
    return [name for name in CHANGES if "window" not in name or slices["dicom"].notna().all()]
