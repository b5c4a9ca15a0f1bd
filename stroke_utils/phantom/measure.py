"""Measures a slice's look, the same way on phantom and real pictures."""

import numpy as np
from scipy import ndimage
from skimage import measure as regions

PATCH, STEP = 16, 8
NUMBERS = (
    "levels",
    "head_fraction",
    "skull_saturation",
    "brain_grey",
    "noise_sd",
    "noise_lag1",
    "noise_lag2",
    "lesion_contrast",
)
"""Keys of `measure_slice`'s result that describe the picture's look; contrast is NaN without a lesion."""


def _largest(mask: np.ndarray) -> np.ndarray:
    labels = regions.label(mask, connectivity=1)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax() if sizes.any() else mask


def find_head(grey: np.ndarray) -> np.ndarray:
    """Return the head of a grey picture (H, W) as bool: the largest bright object, filled, without the head-rest."""
    return ndimage.binary_fill_holes(_largest(ndimage.binary_closing(grey > 0, iterations=2)))


def find_brain(grey: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Return the largest stretch of unsaturated tissue inside the head, a few pixels off the skull, as bool."""
    soft = head & (grey < 255) & (ndimage.gaussian_filter(grey.astype(np.float32), 2) > 12)
    core = _largest(ndimage.binary_erosion(soft, iterations=4))
    return ndimage.binary_fill_holes(core)


def _noise(grey: np.ndarray, brain: np.ndarray) -> tuple[float, float, float]:
    """Return sd (grey levels of 255) and autocorrelation at lags 1 and 2 in the quietest quarter of brain patches."""
    view = np.lib.stride_tricks.sliding_window_view
    patches = view(grey, (PATCH, PATCH))[::STEP, ::STEP].reshape(-1, PATCH * PATCH).astype(np.float64)
    whole = view(brain, (PATCH, PATCH))[::STEP, ::STEP].reshape(-1, PATCH * PATCH).all(axis=1)
    clipped = ((patches <= 0) | (patches >= 255)).mean(axis=1) > 0.01
    patches = patches[whole & ~clipped]
    if len(patches) < 4:
        return float("nan"), float("nan"), float("nan")
    rows, columns = np.mgrid[:PATCH, :PATCH].reshape(2, -1) - (PATCH - 1) / 2
    plane = np.stack([np.ones(PATCH * PATCH), rows, columns], axis=1)
    patches = patches - patches @ plane @ np.linalg.inv(plane.T @ plane) @ plane.T
    deviation = np.sqrt((patches**2).sum(axis=1) / (PATCH * PATCH - 3))
    quiet = patches[deviation <= np.quantile(deviation, 0.25)].reshape(-1, PATCH, PATCH)
    variance = (quiet**2).mean()

    def correlation(lag: int) -> float:
        across, down = quiet[:, :, lag:] * quiet[:, :, :-lag], quiet[:, lag:] * quiet[:, :-lag]
        return float((across.mean() + down.mean()) / (2 * variance)) if variance > 0 else 0.0

    return float(np.median(np.sort(deviation)[: max(1, len(deviation) // 4)])), correlation(1), correlation(2)


def measure_slice(picture: np.ndarray, region: np.ndarray | None = None) -> dict:
    """Measure one original picture, uint8 (H, W) or (H, W, 3 or 4), and the lesion ``region`` (bool) if it has one.

    Returns a dict: ``levels`` (distinct grey levels), ``head_fraction`` (of the frame), ``skull_saturation`` (share of
    the head at 255), ``brain_grey`` (median, 0–255), ``noise_sd`` (grey levels of 255), ``noise_lag1`` and
    ``noise_lag2`` (its autocorrelation over one and two pixels), ``lesion_area`` (pixels) and ``lesion_contrast`` (mean
    grey of the lesion minus that of the ring 3 to 12 pixels around it, skull and air left out); NaN where a thing is
    missing.
    """
    picture = np.asarray(picture)
    grey = picture if picture.ndim == 2 else picture[..., 0]
    plain = np.ones(grey.shape, bool)
    if picture.ndim == 3:
        plain = (picture[..., 0] == picture[..., 1]) & (picture[..., 0] == picture[..., 2])
        grey = np.where(plain, grey, 0)
    head = find_head(grey)
    brain = find_brain(grey, head)
    sd, lag1, lag2 = _noise(grey, brain)
    result = {
        "levels": len(np.unique(grey[plain])),
        "head_fraction": float(head.mean()),
        "skull_saturation": float((grey[head] == 255).mean()) if head.any() else float("nan"),
        "brain_grey": float(np.median(grey[brain])) if brain.any() else float("nan"),
        "noise_sd": sd,
        "noise_lag1": lag1,
        "noise_lag2": lag2,
        "lesion_area": 0 if region is None else int(region.sum()),
        "lesion_contrast": float("nan"),
    }
    if region is not None and region.any():
        near = ndimage.distance_transform_edt(~region)
        ring = (near >= 3) & (near <= 12) & head & (grey > 0) & (grey < 255)
        if ring.any():
            result["lesion_contrast"] = float(grey[region].mean() - grey[ring].mean())
    return result
