"""How well masks agree, by every convention in use, each beside its ceiling and its floor on the same slices.

All conventions are ratios of sums over slices, so that one table of sums per slice gives every score and its interval.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import ndimage

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MASK_CLASSES, TYPES
from stroke_utils.data import masks
from stroke_utils.evaluate import metrics

LEAK = 1e-6
"""Probability that a perfect softmax still leaves to each wrong class of a pixel."""

SMOOTH = 1e-5
"""Segmentation-models' summand in numerator and denominator: a class that is in neither mask counts as 1."""

RADIUS = 3
"""Pixels by which the organiser's tolerant score forgives; the note gives none, so it is ours."""

CONVENTIONS = {
    "soft_f1": "as the paper: probabilities, sums over a batch, mean over three classes with background",
    "soft_iou": "the same, with IoU in place of F1",
    "hard_f1": "the same, each probability first cut at 0.5",
    "hard_iou": "the same, with IoU in place of F1",
    **{f"pooled_{name}_dice": f"all pixels of all slices in one sum, {name} alone" for name in MASK_CLASSES},
    "lesion_dice": "each slice, lesion against lesion, type ignored; mean over slices",
    "lesion_iou": "the same, with IoU in place of Dice",
    "typed_dice": "each slice, a pixel agrees only with the right type; mean over slices",
    **{f"{name}_dice": f"lesion Dice, mean over slices with {name}" for name in TYPES},
    "tolerant_iou": f"session 2's rule: {RADIUS} pixels at the border are forgiven; mean over slices",
    "hd95": "95th percentile of distances between borders, pixels; mean over slices with any prediction",
    "lesion_recall": "share of true lesions (connected regions) that a prediction touches, over all slices",
    "lesion_precision": "share of predicted regions that touch a true lesion, over all slices",
}
"""What each score is, in one sentence."""

_SUMMED = ("agreed", "predicted", "true")
SUMS = [f"{kind}_{what}_{c}" for kind in ("soft", "hard") for what in _SUMMED for c in range(3)]
"""Columns of a slice's sums at the model's size, for the whole-batch conventions."""


def soft_sums(reference: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return, by the names of :data:`SUMS`, the sums over pixels that segmentation-models' scores are made of.

    Args:
        reference: class mask (…, H, W) of 0/1/2.
        probability: (…, H, W, 3).
    """
    truth, values = np.eye(3)[reference], []
    for predicted in (probability, np.asarray(probability) > 0.5):
        predicted = np.asarray(predicted, dtype=float)
        parts = truth * predicted, predicted, truth
        values += [(part * np.ones_like(truth)).reshape(-1, 3).sum(axis=0) for part in parts]
    return dict(zip(SUMS, np.concatenate(values).tolist(), strict=True))


def batch_scores(sums: np.ndarray) -> np.ndarray:
    """Return soft F1 and IoU, then the same thresholded, of batches' sums.

    Mean over all three classes, background included (segmentation-models 1.0.1, ``f1_score`` and ``iou_score``, without
    and with ``threshold=0.5``). Array (…, 18) of :data:`SUMS` in, array (…, 4) out.
    """
    out = []
    for agreed, predicted, true in np.moveaxis(np.reshape(sums, (*np.shape(sums)[:-1], 2, 3, 3)), (-3, -2), (0, 1)):
        total = predicted + true
        out.append(((2 * agreed + SMOOTH) / (total + SMOOTH)).mean(axis=-1))
        out.append(((agreed + SMOOTH) / (total - agreed + SMOOTH)).mean(axis=-1))
    return np.stack(out, axis=-1)


def soft_limits(class_masks: Iterable[np.ndarray], batch: int, leak: float = LEAK) -> pd.DataFrame:
    """Compute what a perfect and an all-background prediction score by the soft convention on these very batches.

    Args:
        class_masks: masks (H, W) of 0/1/2, in the order in which they are batched; all of one shape.
        batch: slices per batch; scores are averaged over batches, as Keras does.
        leak: probability that a softmax leaves to each wrong class.

    Returns:
        Rows ``perfect`` and ``all background``, columns ``f1`` and ``iou``.
    """
    sums = {"perfect": [], "all background": []}
    for mask in class_masks:
        for name, found in sums.items():
            found.append(list(soft_sums(mask, _softmax(mask * (name == "perfect"), leak)).values()))
    return pd.DataFrame({k: _by_batch(np.array(v), batch)[:2] for k, v in sums.items()}, index=["f1", "iou"]).T


def _softmax(classes: np.ndarray, leak: float = LEAK) -> np.ndarray:
    return np.eye(3)[classes] * (1 - 3 * leak) + leak


def _by_batch(sums: np.ndarray, batch: int) -> np.ndarray:
    """Return the mean over batches of :func:`batch_scores` of slices' sums (n, 18), taken in their order."""
    starts = np.arange(0, len(sums), batch)
    return batch_scores(np.add.reduceat(sums, starts, axis=0)).mean(axis=0)


def _cut(reference: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut both masks around all lesions, with the margin that borders and tolerance need; no score changes."""
    (place,) = ndimage.find_objects(((reference > 0) | (predicted > 0)).astype(np.uint8)) or [(slice(0, 1),) * 2]
    around = tuple(slice(max(s.start - RADIUS - 1, 0), s.stop + RADIUS + 1) for s in place)
    return reference[around], predicted[around]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two masks of one shape: 2 · |agreed lesion| / (|lesion of a| + |lesion of b|).

    A pixel is agreed where both masks have the same class other than 0; bool masks work too. Two empty masks give 1.
    """
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero((a == b) & (a != 0)) / total) if total else 1.0


def mask_scores(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Score one slice's class mask (H, W) of 0/1/2 against its reference.

    Returns:
        ``lesion_dice`` and ``lesion_iou``: any lesion class against any, type ignored. ``typed_dice``: a pixel agrees
        only where both have the same type, so that a lesion of the wrong type counts as missed and as added.
        ``tolerant_iou`` and ``hd95``: see :func:`tolerant_iou` and :func:`hd95`. All these are nan where the reference
        has no lesion. Areas ``reference_px`` and ``predicted_px``. Numbers of connected regions (corners connect):
        ``lesions`` true ones, ``found`` of them, ``regions`` predicted ones, ``false`` of them. For pooled scores
        ``agreed_c`` and ``total_c``, pixels of class c in both masks and in either, the latter counted twice.
    """
    out = {}
    for c in range(3):
        out[f"agreed_{c}"] = int(((reference == c) & (predicted == c)).sum())
        out[f"total_{c}"] = int((reference == c).sum() + (predicted == c).sum())
    reference, predicted = _cut(reference, predicted)
    true, found = reference > 0, predicted > 0
    lesions, n = ndimage.label(true, np.ones((3, 3)))
    regions, m = ndimage.label(found, np.ones((3, 3)))
    touched, right = len(np.unique(lesions[true & found])), len(np.unique(regions[true & found]))
    some = bool(n)
    lesion_dice = dice(true, found) if some else np.nan
    scores = {
        "lesion_dice": lesion_dice,
        "lesion_iou": lesion_dice / (2 - lesion_dice),
        "typed_dice": dice(reference, predicted) if some else np.nan,
        "tolerant_iou": tolerant_iou(predicted, reference) if some else np.nan,
        "hd95": hd95(true, found),
    }
    counts = {"lesions": n, "found": touched, "regions": m, "false": m - right}
    return scores | {"reference_px": int(true.sum()), "predicted_px": int(found.sum())} | counts | out


def hd95(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Return the 95th percentile of the distances between two lesions' borders, in pixels, as MedPy 0.5 computes it.

    The border is what an erosion by the four neighbours takes away; distances from each border pixel to the other
    border, both ways, are pooled. Bool arrays (H, W) in; nan where either is empty, because there is no distance then.
    """
    if not reference.any() or not predicted.any():
        return float("nan")
    a, b = (mask & ~ndimage.binary_erosion(mask) for mask in (reference, predicted))
    both = [ndimage.distance_transform_edt(~to)[of] for of, to in ((a, b), (b, a))]
    return float(np.percentile(np.concatenate(both), 95))


def tolerant_ground_truth(truth: np.ndarray, radius: int = RADIUS) -> tuple[np.ndarray, np.ndarray]:
    """Grow and shrink a class mask, as the organiser of session 2 did for scores that forgive a shaky border.

    The organiser's note says dilated and eroded, and gives neither shape nor size of the structuring element: a disk of
    3 pixels is ours. Where grown lesions of both types meet, the nearer type wins.

    Args:
        truth: uint8 array (H, W) of 0/1/2.
        radius: of the disk in pixels.

    Returns:
        GT2, the grown mask, and GT3, the shrunken one, of the same kind; outside the picture there is no lesion, but
        none is worn away at the picture's edge.
    """
    distance, (y, x) = ndimage.distance_transform_edt(truth == 0, return_indices=True)
    grown = truth[y, x] * (distance <= radius) if truth.any() else truth.copy()
    shrunken = np.zeros_like(truth)
    for value in range(1, len(MASK_CLASSES)):
        lesion = truth == value
        # The transform knows no zero but those of the picture; without any it would say nothing.
        deep = lesion if lesion.all() else ndimage.distance_transform_edt(lesion) > radius
        shrunken[deep] = value
    return grown.astype(np.uint8), shrunken


def tolerant_iou(result: np.ndarray, truth: np.ndarray, radius: int = RADIUS) -> float:
    """Score a class mask by the rule of the competition's second session.

    A pixel of the result other than 0 counts as TP if GT2 has the same class there; a pixel where GT3 is not 0 and the
    result differs from it counts as FN; a pixel of the result other than 0 that is neither counts as FP. The score is
    TP / (TP + FP + FN). All three are 0 where nothing was found and the lesion, if there is one, is so thin that GT3 is
    empty: the rule is silent, and the score 1 without a lesion, 0 with one, because nothing was found, is ours.

    Args:
        result: uint8 array (H, W) of 0/1/2.
        truth: the ground truth, of the same shape.
        radius: of :func:`tolerant_ground_truth`.
    """
    grown, shrunken = tolerant_ground_truth(truth, radius)
    hit = (result != 0) & (result == grown)
    missed = (shrunken != 0) & (result != shrunken)
    false = (result != 0) & ~hit & ~missed
    total = np.count_nonzero(hit) + np.count_nonzero(missed) + np.count_nonzero(false)
    return float(np.count_nonzero(hit) / total) if total else float(not truth.any())


def limits(references: pd.Series, labels: pd.Series, size: int) -> dict[str, pd.DataFrame]:
    """Score a perfect and an all-background prediction of some slices, as the scores of a network's masks are made.

    Args:
        references: paths of the true class masks.
        labels: the slices' types, same index.
        size: side the model takes.

    Returns:
        Tables of per-slice scores and sums, ``perfect`` and ``background``.
    """
    rows = {"perfect": [], "background": []}
    for path, label in zip(references, labels, strict=True):
        reference = masks.read_class_mask(path)
        small = shrunken(reference, size)
        for name, keep in (("perfect", 1), ("background", 0)):
            sums = soft_sums(small, _softmax(small * keep))
            rows[name].append({"label": label} | mask_scores(reference, reference * keep) | sums)
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def shrunken(classes: np.ndarray, size: int) -> np.ndarray:
    """Return a class mask (H, W) at the model's size by nearest neighbour, as the records hold it."""
    y, x = (((np.arange(size) + 0.5) * (side / size)).astype(int) for side in classes.shape)  # as TensorFlow does
    return classes[np.ix_(y, x)]


def _ratios(table: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give numerator and denominator of each slice for every score that is a ratio of sums over slices."""
    out = {f"pooled_{n}_dice": (2 * table[f"agreed_{c}"], table[f"total_{c}"]) for c, n in enumerate(MASK_CLASSES)}
    for name in ("lesion_dice", "lesion_iou", "typed_dice"):
        out[name] = (table[name].fillna(0), table[name].notna())
    for label in TYPES:
        out[f"{label}_dice"] = tuple(part * (table["label"] == label) for part in out["lesion_dice"])
    for name in ("tolerant_iou", "hd95"):
        out[name] = (table[name].fillna(0), table[name].notna())
    out["lesion_recall"] = (table["found"], table["lesions"])
    out["lesion_precision"] = (table["regions"] - table["false"], table["regions"])
    return {name: (np.asarray(a, dtype=float), np.asarray(b, dtype=float)) for name, (a, b) in out.items()}


def scores_by_convention(
    table: pd.DataFrame, ends: dict[str, pd.DataFrame], batch: int | None, seed: int = 0
) -> pd.DataFrame:
    """Score the slices of one split by every convention of :data:`CONVENTIONS`.

    Args:
        table: rows of :func:`stroke_utils.learn.predict.segment`; its column ``patient``, where it is there, makes the
            intervals resample patients.
        ends: of :func:`limits`, on the same slices in the same order.
        batch: slices per batch of the whole-batch conventions, taken in the table's order; None leaves these out, and
            the tables need no sums for them.
        seed: of the bootstrap.

    Returns:
        Indexed by score: value, low and high (95 %, bootstrap over slices or patients; for the whole-batch conventions
        each resample is dealt into batches anew), n (slices that count), baseline (all background), unit, perfect,
        convention. Types without a slice are left out.

    Raises:
        UserError: no slice has a lesion.
    """
    if table.empty or table["lesion_dice"].isna().all():
        raise UserError("No slice with a lesion to score.")
    patients = table.get("patient")
    weights, unit = metrics.resamples(table["label"], patients, seed), metrics.unit_of(patients)
    tables = {"value": table, "baseline": ends["background"], "perfect": ends["perfect"]}
    resampled, points = {}, {part: {} for part in tables}
    if batch:
        rng, sums = np.random.default_rng(seed), table[SUMS].to_numpy()
        drawn = [rng.permutation(np.repeat(np.arange(len(table)), w.astype(int))) for w in weights]
        by_batch = np.transpose([_by_batch(sums[order], batch) for order in drawn])
        resampled = dict(zip(CONVENTIONS, by_batch, strict=False))
        points = {part: dict(zip(CONVENTIONS, _by_batch(rows[SUMS].to_numpy(), batch), strict=False))
                  for part, rows in tables.items()}  # fmt: skip
    n = dict.fromkeys(resampled, len(table))
    with np.errstate(invalid="ignore", divide="ignore"):
        for part, rows in tables.items():
            points[part] |= {name: a.sum() / b.sum() for name, (a, b) in _ratios(rows).items()}
        for name, (a, b) in _ratios(table).items():
            resampled[name], n[name] = (weights @ a) / (weights @ b), np.count_nonzero(b)
    rows = {}
    for name, convention in CONVENTIONS.items():
        if n.get(name) or name in ("hd95", "lesion_precision"):
            found = resampled[name][np.isfinite(resampled[name])]
            low, high = metrics.percentiles(found) if len(found) else (np.nan, np.nan)
            score = metrics.score(points["value"][name], low, high, n[name], points["baseline"][name], unit)
            rows[name] = score | {"perfect": float(points["perfect"][name]), "convention": convention}
    return pd.DataFrame.from_dict(rows, orient="index")


def as_record(table: pd.DataFrame) -> dict:
    """Return a table of :func:`scores_by_convention` as score dictionaries by name."""
    return table.drop(columns="convention").to_dict("index")


def history_scores(history: pd.DataFrame, limits: pd.DataFrame, n: int, prefix: str = "val_") -> dict:
    """Return the soft F1 and IoU of the kept epoch, as the paper's Table III has them.

    There is no interval: Keras keeps one number per epoch, not per slice. The baseline is all background.

    Args:
        history: of :func:`stroke_utils.learn.training.fit`, with the metrics of segmentation-models.
        limits: of :func:`soft_limits` on the same slices.
        n: slices.
        prefix: ``val_`` for validation, nothing for the training slices, seen while the weights still moved.
    """
    kept = history.loc[history["val_loss"].idxmin()]
    floor = limits.loc["all background"]
    return {f"soft_{k}": metrics.score(kept[f"{prefix}{k}_score"], np.nan, np.nan, n, floor[k]) for k in ("f1", "iou")}
