"""One network for everything: is there a stroke, of which type, and where; and how a scan's slices are read.

The paper ends on it: combine its separate networks into one that learns features together. Here a U-Net's encoder also
feeds two heads. It learns from all slices, where a U-Net alone learns from those with a lesion only.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import paths, progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import BALANCES, HEADS, LABELS, TYPES
from stroke_utils.data import masks, pixels
from stroke_utils.evaluate import overlap
from stroke_utils.learn import inputs, models, predict, tfrecords, training
from stroke_utils.learn.backend import keras, tf

EMPTY = 1e-3
"""Share of a batch's pixels that, painted as a class the batch has none of, halves that class' Dice. It is about the
share that a lesion has in a batch of mixed slices, so that a false lesion costs about as much as a true one brings."""


_CARRIED = "carried"  # what the decoder takes from the encoder, beside the answers of the heads


class BatchDice(keras.losses.Loss):
    """Segmentation-models' Dice loss, which trains the U-Nets, for batches that may lack a class or a mask.

    Sums go over the whole batch: what is painted on a slice without a lesion counts against the lesions of the others.
    Where the batch has every class the loss is the library's. Of a class that it has no pixel of, the library's Dice
    is 0 for anything painted, however little: a constant without a gradient, so false lesions would go unpunished.
    Where a sixth of the slices is ischemia, one batch of eight in four has none. Here that Dice is 1 where nothing is
    painted and falls as something is (:data:`EMPTY`). Pixels whose one-hot truth has no class, of masks that nobody
    has drawn, count nowhere.

    Args:
        cross_entropy: add the cross-entropy of the pixels, the mean over those whose class is known and over the
            classes, as segmentation-models adds it to its Dice.
    """

    def __init__(self, cross_entropy: bool = False):
        super().__init__()
        self.cross_entropy = cross_entropy

    def call(self, y_true, y_pred):
        """Return the batch's loss once for each slice (b,), of masks (b, H, W, 3); their mean is the loss again."""
        known = tf.reduce_sum(y_true, axis=-1, keepdims=True)
        agreed, true, found = (
            tf.reduce_sum(part, axis=(0, 1, 2)) for part in (y_true * y_pred, y_true, y_pred * known)
        )
        empty = tf.maximum(EMPTY * tf.reduce_sum(known), overlap.SMOOTH)
        smooth = tf.where(true > 0, overlap.SMOOTH, empty)
        dice = (2 * agreed + smooth) / (true + found + smooth)
        loss = 1 - tf.reduce_mean(dice)
        if self.cross_entropy:
            sure = tf.clip_by_value(y_pred, keras.config.epsilon(), 1 - keras.config.epsilon())
            classes = tf.reduce_sum(known) * y_true.shape[-1]
            loss -= tf.math.divide_no_nan(tf.reduce_sum(y_true * tf.math.log(sure)), classes)
        return tf.fill(tf.shape(y_true)[:1], loss)


LOSSES = {
    "detection": keras.losses.BinaryCrossentropy(),
    "type": keras.losses.CategoricalCrossentropy(),
    "mask": BatchDice(),
}
"""The loss of each head, as its own network has it in the paper; a recipe may add to that of masks."""


class Joint(keras.Model):
    """A network with one output a head, by its name, whose losses are added up by one rule: :func:`compile_joint`."""

    def balance(self, rule: str, shares: dict[str, float], cross_entropy: bool = False) -> None:
        """Set the losses and how they are added up; make the variables that this needs."""
        heads = [head for head in HEADS if head in self.heads]
        self.loss_of = LOSSES | {"mask": BatchDice(cross_entropy)}
        self.shares = {head: float(shares.get(head, 1.0)) for head in heads}
        self.seen = {head: keras.metrics.Mean(name=f"{head}_loss") for head in heads}
        learned = heads if rule == "uncertainty" else []
        self.log_variances = {head: self.add_weight(initializer="zeros", name=f"{head}_variance") for head in learned}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the sum of the heads' losses; in validation by the fixed weights, whatever the rule is."""
        total, devices = 0.0, tf.distribute.get_strategy().num_replicas_in_sync
        for head, share in self.shares.items():
            loss = self.loss_of[head](y[head], y_pred[head], (sample_weight or {}).get(head))
            self.seen[head].update_state(loss * devices, sample_weight=tf.shape(y_pred[head])[0])
            if training and self.log_variances:
                log_variance = self.log_variances[head].value
                total += share * tf.exp(-log_variance) * loss + log_variance / 2 / devices
            else:
                total += share * loss
        return total

    def shares_now(self) -> dict[str, float]:
        """Return the factor of each head's loss, as it is now: given, and learned where the rule learns it."""
        learned = {head: float(np.exp(-value.numpy())) for head, value in self.log_variances.items()}
        return {head: share * learned.get(head, 1.0) for head, share in self.shares.items()}


def _chosen(heads: tuple[str, ...] | list[str]) -> list[str]:
    """Return the heads in their order, once each is known and there is one."""
    if not heads or (unknown := [head for head in heads if head not in HEADS]):
        found = repr(unknown[0]) if heads else "None"
        raise UserError(f"{found} is no head of a joint network. Give one or more of {', '.join(HEADS)}.")
    return [head for head in HEADS if head in heads]


def network(
    encoder: str,
    size: int,
    weights: str = "none",
    heads: tuple[str, ...] | list[str] = HEADS,
    dropout: float = 0.3,
    momentum: float | None = None,
    stochastic_depth: bool = True,
) -> Joint:
    """Build one network from a U-Net of :func:`stroke_utils.learn.models.unet`, with two heads on its encoder.

    Both heads stand on the encoder's last features, averaged over the slice, with dropout. ``detection`` goes on as the
    paper's detectors do, dense 128 relu and dense 1 sigmoid; ``type`` as its type classifiers, dense 2 softmax;
    ``mask`` is the decoder. With one head it is a network of its own, on the same encoder and from the same start.

    Args:
        encoder, size, weights, momentum, stochastic_depth: as for :func:`stroke_utils.learn.models.unet`.
        heads: those of ``detection``, ``type`` and ``mask`` that are built.
        dropout: fraction, before both heads.

    Returns:
        A model from float32 (b, size, size, 3) to a dictionary: ``detection`` (b, 1), probability of stroke; ``type``
        (b, 2), of ischemia and hemorrhage; ``mask`` (b, size, size, 3), of background, ischemia and hemorrhage.

    Raises:
        UserError: unknown head, or none; and those of ``unet``.
    """
    heads = _chosen(heads)
    unet = models.unet(encoder, size, weights, momentum, stochastic_depth)
    features = unet.get_layer("decoder_stage0_upsampling").input
    shared = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(features))
    outputs = {
        "detection": keras.layers.Dense(1, activation="sigmoid", name="detection")(
            keras.layers.Dense(128, activation="relu")(shared)
        ),
        "type": keras.layers.Dense(2, activation="softmax", name="type")(shared),
        "mask": unet.output,
    }
    model = Joint(unet.input, {head: outputs[head] for head in heads}, name=f"{'_'.join(heads)}_{encoder}")
    model.heads = tuple(heads)
    return model


def compile_joint(
    model: Joint,
    learning_rate: float,
    balance: str = "fixed",
    shares: dict[str, float] | None = None,
    cross_entropy: bool = False,
    average: float = 0.0,
) -> Joint:
    """Compile with Adam, Dice loss for masks, binary cross-entropy for detection and categorical for types.

    The losses are added up by one of two rules. ``fixed``, the default: each times its share, 1 where none is given,
    because heads that know nothing lose about alike, ln 2 in either cross-entropy and about 0.8 in Dice (1.2
    with cross-entropy).
    ``uncertainty`` (Kendall, Gal and Cipolla 2018, doi 10.1109/CVPR.2018.00781): each times share · exp(-s), plus
    s / 2, with a trained s for each head that starts at 0. Adam moves s by about its rate a step, so a few hundred
    steps hardly leave the start; in a long training the factor grows as 1 / loss, most for the head that overfits
    first. So it is the alternative.

    Validation always adds up by the shares alone: the loss that chooses the best epoch is then one quantity in all
    epochs and under both rules.

    Args:
        model: of :func:`network`.
        learning_rate: of Adam.
        balance: a name of ``vocabulary.BALANCES``.
        shares: factor of a head's loss, by head.
        cross_entropy: as for :class:`BatchDice`, the loss of masks; the other heads have cross-entropy anyway.
        average: as for :func:`stroke_utils.learn.training.optimizer`; :func:`stroke_utils.learn.training.fit` then
            validates and keeps the averaged weights.

    Raises:
        UserError: unknown rule, or a share of a head that is not there.
    """
    if balance not in BALANCES:
        raise UserError(f"{balance!r} is no rule for adding up losses. Known: {', '.join(BALANCES)}.")
    if strange := sorted(set(shares or {}) - set(model.heads)):
        raise UserError(f"The network has no head {strange[0]!r} to weigh. It has: {', '.join(model.heads)}.")
    model.balance(balance, shares or {}, cross_entropy)
    model.compile(optimizer=training.optimizer(learning_rate, average))
    model.optimizer.build(model.trainable_variables)  # else the first step would be traced twice
    return model


def slice_weights(counts: dict[str, int], heads: tuple[str, ...] | list[str] = HEADS) -> dict[str, dict[str, float]]:
    """Return how much a slice counts in the loss of each of the two classifying heads, by its label.

    Within a head each class counts alike, as in the paper's trainings with class weights, and the mean over all slices
    is 1. A slice that a head can learn nothing from, as the type head from a healthy one, counts 0.

    Args:
        counts: training slices by label, as ``types`` of the records' manifest has them.
        heads: for which of them; ``mask`` needs no weights.

    Raises:
        UserError: a head has slices of one class only.
    """
    names, n = (*LABELS, tfrecords.UNKNOWN_TYPE), sum(counts.values())
    groups = {"detection": [["none"], [*TYPES, tfrecords.UNKNOWN_TYPE]], "type": [[name] for name in TYPES]}
    found = {}
    for head, classes in groups.items():
        if head in heads:
            sizes = [sum(counts.get(name, 0) for name in group) for group in classes]
            if not all(sizes):
                raise UserError(f"The head for {head} needs training slices of two classes; found {counts}.")
            weights = dict.fromkeys(names, 0.0)
            for group, size in zip(classes, sizes, strict=True):
                weights |= dict.fromkeys(group, n / (2 * size))
            found[head] = weights
    return found


def batches(
    folder: str | os.PathLike,
    counts: dict[str, int],
    preprocess: models.Preprocess = inputs.unit_range,
    batch: int = 2,
    seed: int | None = None,
    epochs: int = 1,
    mirror: bool = False,
    heads: tuple[str, ...] | list[str] = HEADS,
) -> tf.data.Dataset:
    """Make batches for a joint network from TFRecords of slices with and without lesions.

    Args:
        folder, preprocess, batch, seed, epochs, mirror: as for
            :func:`stroke_utils.learn.tfrecords.record_batches`.
        counts: of :func:`slice_weights`: of the training slices, for validation too.
        heads: that the network has.

    Returns:
        float32 images (b, size, size, 3); a dictionary of targets by head, ``detection`` (b, 1), ``type`` (b, 2) and
        ``mask`` (b, size, size, 3); and one of the slices' weights (b,) in the two classifying heads.
    """
    heads = _chosen(heads)
    known = slice_weights(counts, heads)
    names = [*LABELS, tfrecords.UNKNOWN_TYPE]
    tables = {head: tf.constant([weights[name] for name in names]) for head, weights in known.items()}

    def targets(images: tf.Tensor, classes: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, dict, dict]:
        is_label = labels[:, None] == tf.constant(names)[None]
        truth = {
            "detection": tf.cast(~is_label[:, :1], tf.float32),
            "type": tf.cast(is_label[:, 1:3], tf.float32),
            "mask": classes,
        }
        which = tf.argmax(is_label, axis=1)
        weights = {head: tf.gather(table, which) for head, table in tables.items()}
        return images, {head: truth[head] for head in heads}, weights

    return tfrecords.record_batches(folder, preprocess, batch, seed, epochs, mirror, labels=True).map(targets)


def write_checkpoint(
    folder: str | os.PathLike, encoder: str, size: int, pixels: str, heads: tuple[str, ...], crop: bool = False
) -> None:
    """Write ``checkpoint.json`` beside ``best.weights.h5``: what :func:`load` needs to build the network anew.

    ``crop`` says whether the network is shown the box around the head (:class:`Net`).
    """
    models.write_checkpoint(folder, encoder, size, pixels, heads=list(heads), crop=crop)


def load(folder: str | os.PathLike) -> tuple[Joint, models.Preprocess, dict]:
    """Build a joint network anew from a folder of a run: with its best weights, its preprocessing, its parameters.

    Of the parameters :class:`Net` needs ``size`` and ``crop``; a folder that does not speak of ``crop`` has none.

    Raises:
        UserError: of :func:`stroke_utils.learn.models.read_checkpoint`, or the folder has another network.
    """
    about = models.read_checkpoint(folder)
    if "heads" not in about:
        raise UserError(
            f"The network in {paths.shown(folder)} is a plain U-Net; expected one with heads, of notebook 10."
        )
    model = network(about["encoder"], about["size"], heads=about["heads"])
    model.load_weights(Path(folder, "best.weights.h5"))
    return model, models.unet_preprocess(about["encoder"], about["input"]), {"crop": False} | about


@dataclass(frozen=True)
class Net:
    """A trained network that answers for one slice at a time.

    Attributes:
        ask: from a batch to the answers of all heads by name, or to the one answer of a network without names.
        size: side that it takes.
        preprocess: as in training.
        crop: whether it learned from the box around the head, which is then all that a reader shows it.
        paint: where the decoder waits until it is asked: from ``ask``'s answer to the masks, (b, size, size, 3).
    """

    ask: Callable
    size: int
    preprocess: models.Preprocess
    crop: bool = False
    paint: Callable | None = None

    def __call__(self, image: np.ndarray) -> tf.Tensor | dict[str, tf.Tensor]:
        """Return the network's answer to what it is shown of a slice, (h, w, 3) of any size."""
        return self.ask(self.preprocess(inputs.at_size(image, self.size)))


def net(model: Joint, preprocess: models.Preprocess, crop: bool = False) -> Net:
    """Return what reads slices with a joint network: the encoder and its two heads first, the decoder where asked.

    The decoder is half of the work or more, and only a slice that is called a stroke needs it. The answers are those of
    the network.
    """
    if "mask" not in model.heads or len(model.heads) == 1:
        return Net(predict.in_graph(model), model.input_shape[1], preprocess, crop)
    joins = [layer for layer in model.layers if re.fullmatch(r"decoder_stage\d+_concat", layer.name)]
    carried = [model.get_layer("decoder_stage0_upsampling").input, *(layer.input[1] for layer in joins)]
    heads = {head: model.output[head] for head in model.heads if head != "mask"}
    encoder = predict.in_graph(keras.Model(model.inputs, heads | {_CARRIED: carried}))
    decoder = predict.in_graph(keras.Model(carried, model.output["mask"]))
    return Net(encoder, model.input_shape[1], preprocess, crop, lambda found: decoder(found[_CARRIED]))


@dataclass(frozen=True)
class Answer:
    """What is read from one slice.

    Attributes:
        stroke: probability of a stroke.
        hemorrhage: probability that it is one of hemorrhage; nan where nobody was asked.
        soft: class probabilities (size, size, 3), or None where nobody was asked.
        box: rows and columns of the slice that ``soft`` is of; None: the whole slice.
    """

    stroke: float
    hemorrhage: float = float("nan")
    soft: tf.Tensor | None = None
    box: tuple[slice, slice] | None = None


Reader = Callable[[np.ndarray, float], Answer]
"""Reads a slice (H, W, 3), given the threshold from which on it is called a stroke."""


def one_pass(net: Net) -> Reader:
    """Return a reader that shows each slice to a joint network once.

    Where the network lacks a head, its mask stands in: for ``detection`` the share of what it is shown that is lesion,
    for ``type`` the share of the lesion that is hemorrhage, both counted by probabilities. The first is no probability
    of a stroke, but a threshold can be chosen for it. A head for detection saves the decoder below the threshold: then
    there is no mask, and without a head for types no type.
    """

    def read(image: np.ndarray, threshold: float) -> Answer:
        box = predict.seen(image, net.crop)
        found = net(image[box])
        stroke = float(found["detection"][0, 0]) if "detection" in found else None
        if net.paint and (stroke is None or stroke >= threshold):
            found["mask"] = net.paint(found)
        soft = found["mask"][0] if "mask" in found else None
        ischemia, hemorrhage = (np.nan, np.nan) if soft is None else tf.reduce_mean(soft, axis=(0, 1)).numpy()[1:]
        stroke = ischemia + hemorrhage if stroke is None else stroke
        typed = found["type"][0, 1] if "type" in found else hemorrhage / (ischemia + hemorrhage)
        return Answer(float(stroke), float(typed), soft, box)

    return read


def pipeline(detector: Net, types: Net, unet: Net) -> Reader:
    """Return a reader that asks the detector first, and the other two where it finds a stroke, as the paper would.

    Each may be a network of this package's other rooms, or a joint one with that head.
    """

    def asked(net: Net, part: np.ndarray, head: str) -> tf.Tensor:
        found = net(part)
        if head == "mask" and net.paint:
            return net.paint(found)[0]
        return found[head][0] if isinstance(found, dict) else found[0]

    def read(image: np.ndarray, threshold: float) -> Answer:
        # By whether it is the head's: that box is looked for once, whatever number of networks sees it.
        boxes = {crop: predict.seen(image, crop) for crop in {detector.crop, types.crop, unet.crop}}
        parts = {crop: image[box] for crop, box in boxes.items()}
        stroke = float(asked(detector, parts[detector.crop], "detection")[-1])
        if stroke < threshold:
            return Answer(stroke)
        typed = float(asked(types, parts[types.crop], "type")[-1])
        return Answer(stroke, typed, asked(unet, parts[unet.crop], "mask"), boxes[unet.crop])

    return read


def read_slices(
    reader: Reader,
    slices: pd.DataFrame,
    references: pd.Series,
    threshold: float = 0.0,
    options: predict.MaskOptions = predict.PLAIN,
    folder: str | os.PathLike | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Read slices with and without lesions as a person would use the answer: stroke or not, then type, then region.

    A slice below the threshold is called healthy, and nothing is painted on it.

    Args:
        reader: of :func:`one_pass` or :func:`pipeline`.
        slices: rows with ``slice_id``, ``png``, ``label``, ``stroke``, ``split``, and ``patient`` where known.
        references: paths of the true class masks, same index; missing for healthy slices, and where unknown.
        threshold: stroke probabilities at or above it are called a stroke.
        options: smallest lesion and vote of the masks; ``flip`` is not looked at, for a slice is read in one pass.
        folder: gets each class mask as ``<slice_id>.png``; without it none is written.
        quiet: show no progress.

    Returns:
        The table that :mod:`stroke_utils.evaluate.together` scores, one row a slice: slice_id, split, label, patient,
        truth, probability, predicted, hemorrhage, ``answer`` (``none``, ``ischemia`` or ``hemorrhage``), ``all_dice``
        (lesion against lesion, type ignored; a slice without a lesion has 1 where nothing is painted, else 0; nan
        without a known mask), painted (pixels), seconds (of the reader alone; the first slice, and the first that is
        called, also build graphs).
    """
    rows = []
    for row in progress.track(slices.itertuples(), "Reading slices", total=len(slices), quiet=quiet):
        image, path = pixels.read_rgb(row.png), references[row.Index]
        begun = time.perf_counter()
        answer = reader(image, threshold)
        seconds = time.perf_counter() - begun
        called = answer.stroke >= threshold
        painted = np.zeros(image.shape[:2], np.uint8)
        if called and answer.soft is not None:
            box = answer.box or predict.seen(image, crop=False)
            part = predict.class_mask(answer.soft, image[box].shape[:2], options)
            painted = predict.laid_back(part, box, image.shape[:2])
        if folder is not None:
            masks.write_class_mask(Path(folder, f"{row.slice_id}.png"), painted)
        reference = masks.read_class_mask(path) if pd.notna(path) else None if row.stroke else np.zeros_like(painted)
        dice = np.nan if reference is None else overlap.dice(reference > 0, painted > 0)
        rows.append(
            {"slice_id": row.slice_id, "split": row.split, "label": row.label, "patient": getattr(row, "patient", None)}
            | {"truth": int(row.stroke), "probability": answer.stroke, "predicted": int(called)}
            | {"hemorrhage": answer.hemorrhage, "answer": TYPES[int(answer.hemorrhage >= 0.5)] if called else "none"}
            | {"all_dice": dice, "painted": int((painted > 0).sum()), "seconds": seconds}
        )
    return pd.DataFrame(rows)


def timed(readers: dict[str, tuple[Reader, float]], slices: pd.DataFrame, times: int = 3) -> pd.DataFrame:
    """Measure how long readers take for the same slices, in turn, so that a busy moment of the machine hits all alike.

    Args:
        readers: by name, a reader and its threshold. Each reads the first slice once before, which builds its graphs.
        slices: rows with ``slice_id`` and ``png``.
        times: how often each reads each slice; the shortest counts, for other work can only add to it.

    Returns:
        Milliseconds, indexed by slice_id, one column a reader. To read and decode the file is not in it.
    """

    def seconds(read: Reader, image: np.ndarray, threshold: float) -> float:
        begun = time.perf_counter()
        read(image, threshold)
        return time.perf_counter() - begun

    rows = {}
    for row in slices.itertuples():
        image = pixels.read_rgb(row.png)
        if not rows:
            for read, _ in readers.values():
                read(image, 0.0)
        taken = [{name: seconds(read, image, cut) for name, (read, cut) in readers.items()} for _ in range(times)]
        rows[row.slice_id] = {name: 1000 * min(each[name] for each in taken) for name in readers}
    return pd.DataFrame.from_dict(rows, orient="index")
