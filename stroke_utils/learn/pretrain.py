"""A start for backbones without ImageNet: encoders that learned from drawn heads, and the files that carry them.

From random weights these backbones stay at chance on some hundred slices: behind an average over the slice the gradient
of a lesion drowns. Asked for a map of what lies where, they leave the plateau at once. So a backbone first learns that
map and the slice's class, on heads that no cohort holds, and then the paper's training starts from its weights.

With ``KERAS_BACKEND`` set to another backend than TensorFlow the module runs on that one; the files are the same.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from stroke_utils.base import files, identity, progress
from stroke_utils.base.errors import UserError, check_known
from stroke_utils.base.vocabulary import LABELS
from stroke_utils.learn.starts import KEPT, keras, save_backbone
from stroke_utils.phantom.heads import Heads, draw_heads, plan_heads
from stroke_utils.phantom.render import TISSUES
from stroke_utils.phantom.spec import SPEC_VERSION

layers, ops = keras.layers, keras.ops

BACKBONES = {
    "resnet50": keras.applications.ResNet50,
    "mobilenetv2": keras.applications.MobileNetV2,
    "efficientnetb0": keras.applications.EfficientNetB0,
    "efficientnetv2b0": keras.applications.EfficientNetV2B0,
}
"""The backbones that need a start, by the notebooks' names. They are built without their top."""

_BGR_MEAN = (103.939, 116.779, 123.68)  # ImageNet's, as keras.applications.resnet50.preprocess_input

HEADS_SEED = 1000
"""Phantom seed of the heads to learn from."""

SELECTION_SEEDS = (500, 501)
"""Phantom seeds on which settings are chosen: one cohort to train a detector on, one to score it with."""

CELL_WEIGHTS = (1.0, 4.0, 4.0, 4.0, 1.0, 4.0)
"""What a cell of each of `render.TISSUES` counts in the loss."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a pretraining.

    Attributes:
        steps: batches to learn from.
        batch: slices per batch.
        rate: highest learning rate of Adam, reached after a tenth of the steps and then lowered to 0 along a cosine.
        clip: greatest norm of all gradients together.
        momentum: BatchNorm momentum while it learns.
        dropout: fraction, before the dense layers of the slice's class.
        label_weight: weight of the slice's class in the loss, against 1 of the map.
        degrees, zoom, shift, contrast: limits of the changes to a slice, as in ``inputs.Augmentation``; half of all
            slices are mirrored.
        seed: of weights, order and changes.
    """

    steps: int = 3500
    batch: int = 64
    rate: float = 1e-3
    clip: float = 1.0
    momentum: float = 0.99
    dropout: float = 0.3
    label_weight: float = 0.5
    degrees: float = 10.0
    zoom: float = 0.1
    shift: float = 0.05
    contrast: float = 0.1
    seed: int = 0


def known_backbone(name: str) -> None:
    """Refuse a name that is no key of `BACKBONES`."""
    check_known(name, BACKBONES, "backbone with a pretraining")


def build_backbone(name: str, size: int) -> keras.Model:
    """Build a backbone of `BACKBONES` without its top and with random weights, for RGB of (size, size, 3).

    Raises:
        UserError: unknown name.
    """
    known_backbone(name)
    return BACKBONES[name](include_top=False, weights=None, input_shape=(size, size, 3))


def preprocess(name: str, images):
    """Return RGB values 0–255 as the backbone expects them, float (b, H, W, 3), as ``models.BACKBONES`` has it.

    MobileNetV2 takes [-1, 1], ResNet50 blue first and without ImageNet's mean, EfficientNets 0–255.
    """
    if name == "mobilenetv2":
        return images / 127.5 - 1.0
    return images[..., ::-1] - np.array(_BGR_MEAN, np.float32) if name == "resnet50" else images


def changed(images, drawn, recipe, how: str):
    """Turn, enlarge, shift and mirror each image by its own amounts, as ``inputs.augment`` does.

    Args:
        images: float tensor (b, H, W, c) of square images; what comes in from outside is 0.
        drawn: float tensor (b, k), k ≥ 5, within -1 and 1: turn, zoom, right, down, and mirrored where negative.
        recipe: anything with ``degrees``, ``zoom`` and ``shift``.
        how: ``bilinear`` or ``nearest``.
    """
    side = images.shape[1]
    angle, scale = drawn[:, 0] * (recipe.degrees * np.pi / 180), 1 + drawn[:, 1] * recipe.zoom
    sign = ops.where(drawn[:, 4] < 0, -1.0, 1.0)
    cos, sin = ops.cos(angle) / scale, ops.sin(angle) / scale
    centre = (side - 1) / 2
    a, b, c, d = cos * sign, -sin, sin * sign, cos
    x = centre - a * centre - b * centre + drawn[:, 2] * (recipe.shift * side)
    y = centre - c * centre - d * centre + drawn[:, 3] * (recipe.shift * side)
    zero = ops.zeros_like(a)
    transform = ops.stack([a, b, x, c, d, y, zero, zero], axis=1)
    return ops.image.affine_transform(images, transform, interpolation=how, fill_mode="constant", fill_value=0)


class _Change(layers.Layer):
    """Augmentation inside the network, so that it runs where the network does; its random numbers are an input."""

    def __init__(self, recipe: Recipe, **options):
        super().__init__(**options)
        self.recipe = recipe

    def call(self, picture, tissue, drawn):
        picture = changed(ops.cast(picture, "float32"), drawn, self.recipe, "bilinear")
        spread, bright = (drawn[:, k, None, None, None] * self.recipe.contrast for k in (5, 6))
        picture = ops.clip((picture - 128) * (1 + spread) + 128 + bright * 255, 0, 255)
        tissue = changed(ops.cast(tissue, "float32")[..., None], drawn, self.recipe, "nearest")[..., 0]
        return picture, ops.cast(ops.round(tissue), "int32")


class _Loss(layers.Layer):
    """Cross-entropies of map and class, one value a slice each: outputs, for their targets change in the network."""

    def call(self, tissue, label, tissue_logits, label_logits):
        count = len(TISSUES)
        weights = ops.take(ops.convert_to_tensor(np.array(CELL_WEIGHTS, np.float32)), tissue)
        target = ops.one_hot(tissue, count, dtype="float32")
        each = -ops.sum(target * ops.log_softmax(ops.cast(tissue_logits, "float32")), axis=-1)
        dense = ops.sum(weights * each, axis=(1, 2)) / ops.sum(weights, axis=(1, 2))
        target = ops.one_hot(ops.cast(label, "int32"), len(LABELS), dtype="float32")
        per_slice = -ops.sum(target * ops.log_softmax(ops.cast(label_logits, "float32")), axis=-1)
        return {"map": dense, "class": per_slice}


@dataclass
class Networks:
    """One backbone with its heads: ``reader`` gives their logits of pictures, ``learner`` the losses to lower."""

    backbone: keras.Model
    reader: keras.Model
    learner: keras.Model


def networks(name: str, size: int, cells: int, recipe: Recipe) -> Networks:
    """Build a backbone that is asked for a map of tissues and for the slice's class.

    The map comes from the backbone's last features alone, by a 1 × 1 convolution and depth-to-space, because these are
    what a detector averages. The class comes through the paper's head with three outputs.

    Args:
        name: a key of `BACKBONES`.
        size: side of the pictures in pixels, a multiple of 32.
        cells: side of the tissue maps, a multiple of the backbone's last grid (``size / 32``).
        recipe: of the training.

    Raises:
        UserError: unknown name, or a size or number of cells that does not fit.
    """
    grid = size // 32
    if size % 32 or not grid or cells % grid:
        raise UserError(f"Pictures of {size} pixels and maps of {cells} cells do not fit: take a multiple of 32 and "
                        f"of {max(grid, 1)}.")  # fmt: skip
    backbone, block, count = build_backbone(name, size), cells // grid, len(TISSUES)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = recipe.momentum
    x = layers.Conv2D(block * block * count, 1, name="tissues")(backbone.output)
    x = ops.reshape(x, (-1, grid, grid, block, block, count))
    maps = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, cells, cells, count))
    x = layers.GlobalAveragePooling2D()(backbone.output)
    x = layers.Dropout(recipe.dropout, seed=recipe.seed)(x)
    x = layers.Dense(128, activation="relu")(x)
    reader = keras.Model(backbone.input, [maps, layers.Dense(len(LABELS), name="label")(x)])

    picture = keras.Input((size, size, 1), dtype="uint8")
    tissue = keras.Input((cells, cells), dtype="uint8")
    label, drawn = keras.Input((), dtype="uint8"), keras.Input((7,))
    grey, target = _Change(recipe)(picture, tissue, drawn)
    rgb = preprocess(name, ops.repeat(grey, 3, axis=-1))
    learner = keras.Model([picture, tissue, label, drawn], _Loss()(target, label, *reader(rgb)))
    return Networks(backbone, reader, learner)


def _batches(heads: Callable[[], Heads], recipe: Recipe, report: int) -> Iterator[tuple]:
    """Give batches for ever: passes over the heads in random order; each report asks for the heads anew."""
    step = 0
    while True:
        known = heads()
        order = np.random.default_rng([recipe.seed, step]).permutation(len(known))
        for first in range(0, len(known) - recipe.batch + 1, recipe.batch):
            chosen = order[first : first + recipe.batch]
            drawn = np.random.default_rng([recipe.seed, step, 1]).uniform(-1, 1, (recipe.batch, 7)).astype(np.float32)
            nothing = np.zeros(recipe.batch, np.float32)
            yield (
                (known.pictures[chosen, ..., None], known.tissues[chosen], known.labels[chosen], drawn),
                {"map": nothing, "class": nothing},
            )
            step += 1
            if step % report == 0 and heads() is not known:
                break


def pretrain(
    name: str,
    heads: Heads | Callable[[], Heads],
    recipe: Recipe,
    *,
    report: int = 100,
    watch: Callable[[int, dict], None] | None = None,
) -> Networks:
    """Teach a backbone with random weights what lies where in drawn heads.

    Args:
        name: a key of `BACKBONES`.
        heads: to learn from, a batch at least; or a function asked every ``report`` steps for those drawn so far.
        recipe: settings.
        report: steps between two reports at most.
        watch: called with the steps done and the mean losses since the last report.

    Returns:
        The trained networks; `starts.save_backbone` keeps what a detector needs of them.

    Raises:
        UserError: too few heads, or the loss is no longer a number.
    """
    ask = (lambda: heads) if isinstance(heads, Heads) else heads
    first = ask()
    if len(first) < recipe.batch:
        raise UserError(f"{len(first)} heads are fewer than one batch of {recipe.batch}.")
    keras.utils.set_random_seed(recipe.seed)
    made = networks(name, first.pictures.shape[1], first.tissues.shape[1], recipe)
    warm = max(1, recipe.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, recipe.steps - warm), warmup_target=recipe.rate, warmup_steps=warm
    )
    made.learner.compile(
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=recipe.clip),
        loss={"map": _as_it_is, "class": _as_it_is},
        loss_weights={"map": 1.0, "class": recipe.label_weight},
    )
    report = max(n for n in range(1, report + 1) if recipe.steps % n == 0)

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if watch:
                watch((epoch + 1) * report, dict(logs))

    history = made.learner.fit(
        _batches(ask, recipe, report),
        steps_per_epoch=report,
        epochs=recipe.steps // report,
        callbacks=[Report(), keras.callbacks.TerminateOnNaN()],
        shuffle=False,
        verbose=0,
    ).history
    if not np.all(np.isfinite(history["loss"])):
        raise UserError(f"The pretraining of {name} lost its way: its loss is no number. Lower the learning rate.")
    return made


def _as_it_is(_, losses):
    return losses


def score(name: str, reader: keras.Model, heads: Heads, batch: int = 64) -> dict:
    """Score a pretrained network on heads it has not seen.

    Returns:
        ``n``; ``auc`` of stroke against none, by one minus the probability of none; and ``cells``, the intersection
        over union of each tissue but the background, pooled over all cells.
    """
    stroke, found = [], []
    for first in range(0, len(heads), batch):
        grey = heads.pictures[first : first + batch, ..., None].astype(np.float32)
        pad = batch - len(grey)  # one shape, one compilation
        rgb = preprocess(name, np.repeat(np.pad(grey, [(0, pad)] + [(0, 0)] * 3), 3, axis=-1))
        maps, logits = (ops.convert_to_numpy(each)[: batch - pad] for each in reader.predict_on_batch(rgb))
        stroke.append(1 - np.exp(logits[:, 0]) / np.exp(logits).sum(axis=1))
        found.append(maps.argmax(axis=-1))
    found = np.concatenate(found)
    overlap = {}
    for value, tissue in enumerate(TISSUES[1:], 1):
        one, other = found == value, heads.tissues == value
        overlap[tissue] = round(float((one & other).sum() / max(1, (one | other).sum())), 4)
    auc = float(roc_auc_score(heads.labels > 0, np.concatenate(stroke)))
    return {"n": len(heads), "auc": round(auc, 4), "cells": overlap}


def write_card(path: str | Path, name: str, recipe: Recipe, heads: Heads, **more) -> dict:
    """Write what a weights file was made of beside it, ``<backbone>.json``, and return it.

    ``more`` are measured facts, as minutes and scores.
    """
    path = Path(path)
    counts = np.bincount(heads.labels, minlength=len(LABELS)).tolist()
    card = {
        "backbone": name,
        "file": path.name,
        "sha256": identity.sha256(path),
        "kept_up_to": KEPT.get(name, "all"),
        "data": {
            "source": "phantom, drawn by this package",
            "spec_version": SPEC_VERSION,
            "slices": len(heads),
            "heads": len(np.unique(heads.patients)),
            "classes": dict(zip(LABELS, counts, strict=True)),
            "size": heads.pictures.shape[1],
            "cells": heads.tissues.shape[1],
            "tissues": list(TISSUES),
        },
        "recipe": asdict(recipe),
        "keras": keras.__version__,
        "licence": "MIT",
        "note": "Made from drawn heads alone: no patient was imaged, and no ImageNet weights were used. It has seen "
        "other heads of the same generator; a score on the phantom says that the code learns, no more.",
    } | more
    files.write_json(path.with_name(path.name.partition(".")[0] + ".json"), card)
    return card


def make_start(
    name: str, heads: Heads, recipe: Recipe, folder: str | Path, selection: Heads | None = None, **more
) -> Path:
    """Do all of it: pretrain a backbone, keep its weights and their card, and return the weights file.

    Args:
        name: a key of `BACKBONES`.
        heads: to learn from.
        recipe: settings.
        folder: gets ``<backbone>.weights.h5`` and ``<backbone>.json``.
        selection: heads of another seed to score with; the card then has the scores.
        more: further facts for the card, as the machine and the seeds.

    Raises:
        UserError: as `pretrain` and `starts.save_backbone`.
    """
    begun, path = time.monotonic(), Path(folder, f"{name}.weights.h5")
    made = pretrain(name, heads, recipe)
    more["minutes"] = round((time.monotonic() - begun) / 60, 2)
    save_backbone(name, made.backbone, path)
    if selection is not None:
        more["selection"] = score(name, made.reader, selection)
    write_card(path, name, recipe, heads, **more)
    return path


def make_starts(names: Sequence[str], folder: str | Path | None, count: int, steps: int, size: int) -> Iterator[Path]:
    """Draw heads once and do :func:`make_start` with them for several backbones.

    Args:
        names: keys of `BACKBONES`; none means all.
        folder: for the files; without one they go to derived data, named by all that makes them.
        count: heads to draw.
        steps: batches to learn from.
        size: side of the pictures in pixels.

    Yields:
        The weights file of each backbone, as soon as it is written.

    Raises:
        UserError: unknown backbone, or as :func:`make_start`; nothing is drawn before the names are known.
    """
    names, recipe = list(names) or list(BACKBONES), Recipe(steps=steps)
    for name in names:
        known_backbone(name)
    if count < recipe.batch:
        raise UserError(f"{count} heads are fewer than one batch of {recipe.batch}. Draw more: --heads 14000.")
    seed = HEADS_SEED
    made_by = identity.Identity(
        "starts",
        ("learn.pretrain",),
        {"phantom": SPEC_VERSION, "seed": seed},
        {"heads": count, "size": size, **asdict(recipe)},
    )
    folder = Path(folder).expanduser() if folder else made_by.folder()
    drawn = draw_heads(plan_heads(seed, range(1, count + 1)), seed, size)
    heads = Heads.joined(progress.track(drawn, "Drawing heads", total=count))
    for name in names:
        yield make_start(name, heads, recipe, folder, seeds={"heads": seed, "patients": [1, count]})
