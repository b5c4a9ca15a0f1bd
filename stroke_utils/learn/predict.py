"""From a fitted model and slices to a table of predictions, or to class masks at the slices' own size."""

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from stroke_utils.base import files, progress
from stroke_utils.base.errors import UserError
from stroke_utils.data import masks, pixels, regions
from stroke_utils.evaluate import overlap
from stroke_utils.learn import inputs, models
from stroke_utils.learn.backend import keras, tf

BATCH = 32
"""Slices per batch of prediction; the value changes no result."""


def probabilities(
    model: keras.Model, paths: pd.Series, preprocess: models.Preprocess, size: int, batch: int = BATCH
) -> np.ndarray:
    """Return a classifier's probability of class 1 for every path, (n,), from one sigmoid or two softmax outputs.

    Raises:
        UserError: a slice's file is gone, or an answer is no number.
    """
    batches = inputs.image_batches(paths, None, preprocess, size, batch)
    with inputs.there():
        answers = model.predict(batches, verbose=0)[:, -1].astype(float)
    _refuse_nan(answers, paths)
    return answers


def _refuse_nan(probability: np.ndarray, names: Iterable[str]) -> None:
    broken = np.isnan(probability)
    if broken.any():
        first = next(name for name, nan in zip(names, broken, strict=True) if nan)
        raise UserError(
            f"The network's answer to {broken.sum()} of {len(broken)} slices is no number; the first is {first}. Its "
            "weights are broken: train it again without `reuse`, at a lower learning rate."
        )


def table(slices: pd.DataFrame, truth: str, probability: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """Return the predictions table of a classifier.

    Args:
        slices: rows with ``slice_id``, ``split`` and the column ``truth``.
        truth: name of the column with the true class 0/1.
        probability: (n,) of class 1.
        threshold: probabilities at or above it are predicted 1.

    Returns:
        Columns slice_id, split, truth, probability, predicted, outcome (``TP``, ``FP``, ``FN``, ``TN``).

    Raises:
        UserError: a probability is no number; a comparison would silently call it 0.
    """
    _refuse_nan(np.asarray(probability), slices["slice_id"])
    out = slices[["slice_id", "split"]].assign(truth=slices[truth].astype(int), probability=probability)
    out["predicted"] = (out["probability"] >= threshold).astype(int)
    names = {(1, 1): "TP", (0, 1): "FP", (1, 0): "FN", (0, 0): "TN"}
    out["outcome"] = [names[pair] for pair in zip(out["truth"], out["predicted"], strict=True)]
    return out.reset_index(drop=True)


@dataclass(frozen=True)
class MaskOptions:
    """How probabilities become a class mask; the values here are the paper's plain argmax.

    Attributes:
        flip: average the probabilities of a slice and of its mirror image, mirrored back.
        smallest: connected lesions (corners connect) below this many pixels of the slice are taken away.
        vote: all lesion pixels of a slice get the type that most of them have.
    """

    flip: bool = False
    smallest: int = 0
    vote: bool = False


PLAIN = MaskOptions()
"""The paper's: the most probable class of each pixel."""

GRID = [MaskOptions(f, n, v) for f in (False, True) for n in (0, 30, 100, 300) for v in (False, True)]
"""What :func:`choose_options` tries, the plain one first."""


def keep_options(folder: str | os.PathLike, options: MaskOptions) -> None:
    """Add to the ``checkpoint.json`` of a network how its masks are made, for whoever reads scans with it.

    Raises:
        UserError: of :func:`stroke_utils.learn.models.read_checkpoint`.
    """
    about = models.read_checkpoint(folder) | {models.MASK_OPTIONS: asdict(options)}
    files.write_json(Path(folder, "checkpoint.json"), about)


def kept_options(about: dict) -> MaskOptions:
    """Return what :func:`keep_options` added to a checkpoint, the plain ones where nothing was added.

    Raises:
        UserError: they are none that this version knows.
    """
    found = about.get(models.MASK_OPTIONS, {})
    try:
        return MaskOptions(**found)
    except TypeError as error:
        known = ", ".join(asdict(PLAIN))
        raise UserError(
            f"The {models.MASK_OPTIONS} of a checkpoint.json are {found!r}; expected {known}. Run notebook 05 again."
        ) from error


def soft_masks(
    model: Callable, image: np.ndarray, size: int, preprocess: models.Preprocess, flip: bool = False
) -> dict[bool, tf.Tensor]:
    """Return a slice's class probabilities, float32 (size, size, 3).

    The key ``False`` has the model's answer; with ``flip``, ``True`` has its mean with the answer for the mirror image,
    mirrored back.
    """
    batch = inputs.at_size(image, size)
    soft = {False: model(preprocess(batch))[0]}
    if flip:
        soft[True] = (soft[False] + model(preprocess(batch[:, :, ::-1]))[0, :, ::-1]) / 2
    return soft


def seen(image: np.ndarray, crop: bool) -> tuple[slice, slice]:
    """Return the rows and columns of a slice (H, W, 3) that a network is shown: all, or the box around the head."""
    return regions.head_box(image) if crop else (slice(0, image.shape[0]), slice(0, image.shape[1]))


def laid_back(part: np.ndarray, box: tuple[slice, slice], shape: tuple[int, int]) -> np.ndarray:
    """Return the class mask of a part of a slice as one of the whole slice, uint8 (H, W); outside is background."""
    whole = np.zeros(shape, np.uint8)
    whole[box] = part
    return whole


def class_mask(soft: tf.Tensor, shape: tuple[int, int], options: MaskOptions = PLAIN) -> np.ndarray:
    """Turn probabilities into a mask at the slice's own size.

    Args:
        soft: one of :func:`soft_masks`.
        shape: height and width of the slice.
        options: smallest lesion and vote; its ``flip`` is :func:`soft_masks`' business.

    Returns:
        uint8 (H, W) of 0 background, 1 ischemia, 2 hemorrhage: probabilities are resized to (H, W), then the most
        probable class is taken.
    """
    return tidied(most_probable(soft, shape), options)


def most_probable(soft: tf.Tensor, shape: tuple[int, int]) -> np.ndarray:
    """Return the most probable class of each pixel of a slice, uint8 (H, W): the slow part of :func:`class_mask`."""
    return tf.argmax(tf.image.resize(soft, shape), axis=-1).numpy().astype(np.uint8)


def _whole(soft: tf.Tensor, box: tuple[slice, slice], image: np.ndarray) -> np.ndarray:
    """Return the most probable class of each pixel of a slice, uint8 (H, W), of an answer for a box of it."""
    return laid_back(most_probable(soft, image[box].shape[:2]), box, image.shape[:2])


def tidied(classes: np.ndarray, options: MaskOptions) -> np.ndarray:
    """Return a class mask (H, W) of 0/1/2 without its specks and with one type by vote, where the options say so."""
    classes = classes.copy()
    if options.smallest:
        regions, _ = ndimage.label(classes > 0, np.ones((3, 3)))
        classes[np.bincount(regions.ravel())[regions] < options.smallest] = 0
    if options.vote and classes.any():
        classes[classes > 0] = np.bincount(classes[classes > 0]).argmax()
    return classes


def in_graph(model: keras.Model) -> Callable:
    """Return a model's inference as a graph that is traced once, for one slice at a time."""
    return tf.function(lambda x: model(x, training=False))


def segment(
    model: Callable,
    slices: pd.DataFrame,
    references: pd.Series,
    size: int,
    preprocess: models.Preprocess,
    ways: dict[str | os.PathLike, MaskOptions],
    quiet: bool = False,
    crop: bool = False,
) -> dict[str | os.PathLike, pd.DataFrame]:
    """Segment slices, write each class mask as a palette PNG and score it at the slice's own size.

    Several ways to make masks share the network's answers; the scoring is paid for each.

    Args:
        model: a U-Net of :func:`in_graph`, or any function from pixels to class probabilities, such as
            :class:`stroke_utils.evaluate.brightness.Threshold`.
        slices: rows with ``slice_id``, ``png``, ``label``, ``split``, and ``patient`` where known.
        references: paths of the true class masks, same index.
        size: side the model takes.
        preprocess: as in training.
        ways: how probabilities become masks, by the folder that gets ``<slice_id>.png``.
        quiet: show no progress.
        crop: whether the model sees the box around the head, as in training; masks and scores are of the whole slice,
            the soft sums of what the model sees.

    Returns:
        A table by folder. Columns slice_id, split, label, patient, those of
        :func:`stroke_utils.evaluate.overlap.mask_scores`, and the sums of
        :func:`stroke_utils.evaluate.overlap.soft_sums` at the model's size.
    """
    rows, flips = {folder: [] for folder in ways}, {way.flip for way in ways.values()}
    for row in progress.track(slices.itertuples(), "Segmenting slices", total=len(slices), quiet=quiet):
        image, reference = pixels.read_rgb(row.png), masks.read_class_mask(references[row.Index])
        box = seen(image, crop)
        soft = soft_masks(model, image[box], size, preprocess, True in flips)
        classes = {flip: _whole(soft[flip], box, image) for flip in flips}
        small = overlap.shrunken(reference[box], size)
        sums = {flip: overlap.soft_sums(small, np.asarray(soft[flip])) for flip in flips}
        about = {"slice_id": row.slice_id, "split": row.split, "label": row.label}
        about["patient"] = getattr(row, "patient", None)
        for folder, way in ways.items():
            predicted = tidied(classes[way.flip], way)
            masks.write_class_mask(f"{folder}/{row.slice_id}.png", predicted)
            rows[folder].append(about | overlap.mask_scores(reference, predicted) | sums[way.flip])
    return {folder: pd.DataFrame(found) for folder, found in rows.items()}


def choose_options(
    model: Callable,
    slices: pd.DataFrame,
    references: pd.Series,
    size: int,
    preprocess: models.Preprocess,
    crop: bool = False,
) -> tuple[MaskOptions, pd.DataFrame]:
    """Choose the options of highest mean typed Dice on the validation slices; of equal ones the plainer.

    Other slices than those of the split ``validation`` are not looked at. With ``crop`` the model sees the box around
    the head, as in training.

    Returns:
        The choice, and one row for each of :data:`GRID`: flip, smallest, vote, lesion_dice, typed_dice.
    """
    rows = []
    for row in slices[slices["split"] == "validation"].itertuples():
        image, reference = pixels.read_rgb(row.png), masks.read_class_mask(references[row.Index])
        box = seen(image, crop)
        soft = soft_masks(model, image[box], size, preprocess, flip=True)
        classes = {flip: _whole(values, box, image) for flip, values in soft.items()}
        for options in GRID:
            found = tidied(classes[options.flip], options)
            any_lesion, right_type = overlap.dice(reference > 0, found > 0), overlap.dice(reference, found)
            rows.append(asdict(options) | {"lesion_dice": any_lesion, "typed_dice": right_type})
    names = list(asdict(PLAIN))
    table = pd.DataFrame(rows).groupby(names, as_index=False).mean()
    order = [asdict(options) for options in GRID]
    table = pd.DataFrame(order).merge(table, on=names)
    return GRID[int(table["typed_dice"].round(9).idxmax())], table
