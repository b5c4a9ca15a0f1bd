"""Training the paper's way: Adam, its losses, its callbacks; one progress line; results that are written whole."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stroke_utils import files, models  # models first: it prepares the libraries that keras and sm rest on
from stroke_utils.files import UserError

# isort: split
import keras
import tensorflow as tf

sm = models.sm

MIN_DELTA = 0.0
"""By how much a loss must fall, or a score rise, to count as better: one rule for slowing down, stopping and keeping
weights, else the weights kept would not be those of the lowest loss."""


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, so that weights and dropout of the next model follow from ``seed``."""
    keras.utils.set_random_seed(seed)


def compile_classifier(model: keras.Model, learning_rate: float) -> keras.Model:
    """Compile with Adam, accuracy, and cross-entropy: binary for one output, categorical for two."""
    loss = "binary_crossentropy" if model.output_shape[-1] == 1 else "categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    return model


def compile_unet(model: keras.Model, learning_rate: float) -> keras.Model:
    """Compile with Adam and, as in the paper, segmentation-models' dice loss, soft IoU and soft F1 with background."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=sm.losses.dice_loss,
        metrics=[sm.metrics.iou_score, sm.metrics.f1_score],
    )
    return model


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to slow down or stop.

    Attributes:
        epochs: passes over the training slices at most.
        reduce_after: epochs without a better ``monitor`` before the learning rate is multiplied by ``reduce_by``.
        stop_after: epochs without a better ``monitor`` before training stops; 0 trains all epochs.
        reduce_by: factor of the learning rate.
        monitor: the watched quantity; losses are minimised, everything else maximised.
    """

    epochs: int
    reduce_after: int
    stop_after: int
    reduce_by: float = 0.5
    monitor: str = "val_loss"

    @property
    def mode(self) -> str:
        """Return ``min`` for a loss, ``max`` otherwise."""
        return "min" if self.monitor.endswith("loss") else "max"


class _EpochLine(keras.callbacks.Callback):
    """One status line: cost announced after the first steps, then epoch, loss and time left."""

    def __init__(self, title: str, epochs: int, steps: int):
        super().__init__()
        self.title, self.epochs, self.steps = title, epochs, steps
        self.line = files.StatusLine()

    def on_train_begin(self, logs=None):
        self.begun = time.monotonic()
        self.line.show(f"{self.title}: building the graph of {self.steps} steps × {self.epochs} epochs …", final=False)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # The first step also traces the graph, so the forecast counts from the second.
        if self.epoch == 0 and batch == 0:
            self.traced = time.monotonic()
        spent = time.monotonic() - self.traced
        done = self.epoch * self.steps + batch
        if done:
            left = spent / done * (self.steps * self.epochs - done)
            self.line.show(
                f"{self.title}: epoch {self.epoch + 1} of {self.epochs}, step {batch + 1} of {self.steps}, "
                f"{spent / done:.2f} s a step, {left:.0f} s left at most"
            )

    def on_train_end(self, logs=None):
        self.line.show(f"{self.title}: {self.epoch + 1} epochs in {time.monotonic() - self.begun:.0f} s", final=True)


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    schedule: Schedule,
    folder: str | Path,
    title: str,
    class_weight: dict[int, float] | None = None,
    reuse: bool = False,
) -> pd.DataFrame:
    """Train a compiled model, keep the weights of its best epoch and write both to disk.

    Args:
        model: compiled; afterwards it holds the weights of the best epoch.
        train: ``schedule.epochs`` passes in one dataset, as :mod:`stroke_utils.inputs` makes them.
        validation: one pass.
        schedule: how long, and what is watched.
        folder: gets ``history.csv`` and ``best.weights.h5``.
        title: name on the progress line.
        class_weight: weight of each class in the loss.
        reuse: load both files, where a finished run left them, instead of training.

    Returns:
        One row an epoch, counted from 1: losses, metrics, learning rate, seconds.

    Raises:
        UserError: the loss became NaN.
    """
    folder = Path(folder)
    weights, table = folder / "best.weights.h5", folder / "history.csv"
    if reuse and weights.is_file() and table.is_file():
        model.load_weights(weights)
        print(f"{title}: reused the finished run in {files.shown(folder)}")
        return pd.read_csv(table)
    for old in (table, weights):  # a killed run must not look finished
        old.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

    steps = _steps(train, schedule.epochs)
    watch = {"monitor": schedule.monitor, "mode": schedule.mode, "min_delta": MIN_DELTA}
    clock = _Clock()
    stop = keras.callbacks.EarlyStopping(
        **watch, patience=schedule.stop_after or schedule.epochs, restore_best_weights=True
    )
    slow = keras.callbacks.ReduceLROnPlateau(**watch, patience=schedule.reduce_after, factor=schedule.reduce_by)
    line = _EpochLine(title, schedule.epochs, steps)
    fitted = model.fit(
        train,
        validation_data=validation,
        epochs=schedule.epochs,
        steps_per_epoch=steps,
        class_weight=class_weight,
        callbacks=[clock, slow, stop, keras.callbacks.TerminateOnNaN(), line],
        shuffle=False,
        verbose=0,
    )
    history = pd.DataFrame(fitted.history).rename(columns={"f1-score": "f1_score", "val_f1-score": "val_f1_score"})
    history.insert(0, "epoch", range(1, len(history) + 1))
    history["seconds"] = clock.seconds[: len(history)]
    if not all(map(math.isfinite, history["loss"])):
        raise UserError(f"{title}: the loss became NaN in epoch {len(history)}. Lower the learning rate.")
    with files.atomic_path(weights) as temporary:
        model.save_weights(temporary)
    with files.atomic_path(table) as temporary:
        history.to_csv(temporary, index=False)
    return history


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(round(time.monotonic() - self.begun, 1))


def _steps(train: tf.data.Dataset, epochs: int) -> int:
    batches = int(train.cardinality())
    if batches <= 0 or batches % epochs:
        raise UserError(f"The training dataset has {batches} batches, expected {epochs} equal passes of them.")
    return batches // epochs
