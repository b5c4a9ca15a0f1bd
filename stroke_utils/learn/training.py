"""Training the paper's way: Adam, its losses, its callbacks; one progress line; results that are written whole."""

import contextlib
import importlib.util
import json
import math
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd

from stroke_utils.base import files, identity, paths, progress, unfinished
from stroke_utils.base.errors import UserError, reason
from stroke_utils.learn import inputs, models
from stroke_utils.learn.backend import keras, sm, tf

MIN_DELTA = 0.0
"""By how much a loss must fall, or a score rise, to count as better: one rule for slowing down, stopping and keeping
weights, else the weights kept would not be those of the lowest loss."""


def set_seed(seed: int, deterministic: bool = True) -> None:
    """Make what follows a function of ``seed``: starting weights, dropout, and every sum that threads share out.

    Without TensorFlow's deterministic operations the last bits of a gradient depend on which thread was first, and two
    runs of one seed drift apart. It holds for the same hardware, versions and number of threads only.

    Args:
        seed: of everything random.
        deterministic: False leaves TensorFlow as it is; where it was told to be deterministic before in this process,
            it stays so.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def rate_for(start: str, p: SimpleNamespace) -> float:
    """Return the learning rate of a network by a notebook's parameters and by what it starts from.

    Weights that know the task are lost at the rate that random ones need (docs/decisions/013). ImageNet's do not know
    it. In a few passes they need the higher rate too, where it rises slowly, along a cosine (docs/decisions/009). A
    plateau begins with the full rate, so there they keep the lower one.

    Args:
        start: of :func:`stroke_utils.learn.models.weights_for`.
        p: settings of one network, with ``learning_rate``, ``learning_rate_random`` and ``reduce_after``.
    """
    high = start == "none" or (models.is_imagenet(start) and not p.reduce_after)
    return p.learning_rate_random if high else p.learning_rate


class Adam(keras.optimizers.Adam):
    """Keras' Adam with one TensorFlow operation for each variable's step, where Keras uses a dozen.

    Formula, constants and variables are Keras'; only the rounding differs, by about 1e-5 of a weight in 200 steps. Its
    graph is built faster, and a processor goes over the weights once a step, which counts with millions of weights and
    small batches.
    """

    def __init__(self, learning_rate: float, **averages):
        super().__init__(learning_rate, **averages)  # no other option of Keras': the operation has no amsgrad

    def update_step(self, gradient, variable, learning_rate):
        step, k = tf.cast(self.iterations.value + 1, variable.dtype), self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[k].value.handle,
            v=self._velocities[k].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def optimizer(learning_rate: float, average: float = 0.0) -> keras.optimizers.Adam:
    """Return the fused Adam, or Keras' own where devices share a batch: that one knows how to add their parts.

    Args:
        learning_rate: the highest one.
        average: share of its old value that a running average of each weight keeps at a step; 0: no average.
    """
    averages = {"use_ema": True, "ema_momentum": average} if average else {}
    return (keras.optimizers.Adam if tf.distribute.has_strategy() else Adam)(learning_rate, **averages)


def compile_classifier(model: keras.Model, learning_rate: float) -> keras.Model:
    """Compile with Adam, accuracy, and cross-entropy: binary for one output, categorical for two."""
    loss = "binary_crossentropy" if model.output_shape[-1] == 1 else "categorical_crossentropy"
    model.compile(optimizer=optimizer(learning_rate), loss=loss, metrics=["accuracy"])
    return _build_variables(model)


def compile_unet(
    model: keras.Model, learning_rate: float, cross_entropy: bool = False, average: float = 0.0
) -> keras.Model:
    """Compile with Adam and, as in the paper, segmentation-models' dice loss, soft IoU and soft F1 with background.

    Args:
        model: a U-Net.
        learning_rate: of Adam.
        cross_entropy: add the mean cross-entropy of the pixels to the loss. Where Dice is near 0 it has hardly a
            gradient, and cross-entropy has its steepest.
        average: as for :func:`optimizer`; :func:`fit` then validates and keeps the averaged weights.
    """
    model.compile(
        optimizer=optimizer(learning_rate, average),
        loss=sm.losses.cce_dice_loss if cross_entropy else sm.losses.dice_loss,
        metrics=[sm.metrics.iou_score, sm.metrics.f1_score],
    )
    return _build_variables(model)


def _build_variables(model: keras.Model) -> keras.Model:
    """Make the variables of optimizer, loss and metrics now.

    Were they made in the first step, TensorFlow would trace that step twice, and a trace is most of a short training.
    """
    model.optimizer.build(model.trainable_variables)
    one = tf.zeros((1, *model.output_shape[1:]))
    model.compute_loss(y=one, y_pred=one)
    model.compute_metrics(None, one, one)
    model.reset_metrics()
    return model


AVERAGED = 0.1
"""Share of all steps over which averaged weights are averaged: about as many steps as count for more than a third."""


def average_over(steps: int) -> float:
    """Return the share that a running average keeps at each of ``steps`` in all, for :func:`compile_unet`."""
    return max(0.0, 1 - 1 / (AVERAGED * steps))


WARM_UP = 0.1
"""Share of all steps in which the rate rises, where it follows a cosine."""


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to slow down or stop.

    Attributes:
        epochs: passes over the training slices at most.
        reduce_after: epochs without a better ``monitor`` before the learning rate is multiplied by ``reduce_by``, as in
            the paper. With 0 the rate looks at no loss: it rises from 0 in a tenth of the steps and then falls to 0
            along half a cosine (Loshchilov and Hutter, 2017, without restarts).
        stop_after: epochs without a better ``monitor`` before training stops; 0 trains all epochs.
        reduce_by: factor of the learning rate.
        monitor: the watched quantity; losses are minimised, everything else maximised.
    """

    epochs: int
    reduce_after: int
    stop_after: int = 0
    reduce_by: float = 0.5
    monitor: str = "val_loss"

    @classmethod
    def of(cls, p: SimpleNamespace) -> "Schedule":
        """Return the schedule by the settings of one network."""
        return cls(p.epochs, p.reduce_after, p.stop_after)

    def cosine(self, step: int, steps: int) -> float:
        """Return the rate of a step as a fraction of the highest one.

        Args:
            step: counted from 0 over all epochs.
            steps: of all epochs together.
        """
        warm = max(1, round(WARM_UP * steps))
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step + 1 - warm) / (steps + 1 - warm))) / 2

    @property
    def mode(self) -> str:
        """Return ``min`` for a loss, ``max`` otherwise."""
        return "min" if self.monitor.endswith("loss") else "max"


def _finite(row: dict[str, float]) -> bool:
    """Tell whether both losses of an epoch are numbers."""
    return all(math.isfinite(row.get(name, math.nan)) for name in ("loss", "val_loss"))


def _number(variable: keras.Variable) -> float:
    return float(keras.ops.convert_to_numpy(variable))  # it may have one copy on each device


class _Cosine(keras.callbacks.Callback):
    """Set the rate of each step; it follows from the step's number alone, so a stopped run goes on as if unbroken."""

    def __init__(self, schedule: Schedule, highest: float):
        super().__init__()
        self.schedule, self.highest, self.epoch = schedule, highest, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        steps = self.params["steps"]
        share = self.schedule.cosine(self.epoch * steps + batch, self.schedule.epochs * steps)
        self.model.optimizer.learning_rate = self.highest * share

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = _number(self.model.optimizer.learning_rate)


class _Average(keras.callbacks.Callback):
    """Show validation, and all that comes between two epochs, the averaged weights in place of the trained ones.

    Those wait in the optimizer meanwhile, where the average was. Keras' own callback swaps by adding and subtracting,
    which rounds.
    """

    def __init__(self, shown: bool):
        super().__init__()
        self.shown = shown

    def _swap(self) -> None:
        optimizer = self.model.optimizer
        pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
        for weight, average in pairs:
            trained = keras.ops.copy(weight)
            weight.assign(average)
            average.assign(trained)
        self.shown = not self.shown

    def on_test_begin(self, logs=None):
        if not self.shown:
            self._swap()

    def on_epoch_begin(self, epoch, logs=None):
        if self.shown:
            self._swap()


class State(keras.callbacks.Callback):
    """All that lives between two epochs of a training, in one object that can be saved and read back.

    That is the model with its optimizer and the seeds of its dropout, the counters of the schedule, the weights of the
    best epoch, and the history. The order and augmentation of the data need no state: they follow from the epoch.

    Attributes:
        run_id: whose training it is; a state of another run is not read.
        rows: history, one dictionary an epoch.
        callbacks: what :func:`fit` hands to Keras, this object last.
    """

    COST: ClassVar = 0.05
    """Share of the training time that saving may take; what is slower to save is saved less often."""

    COUNTERS: ClassVar = {
        "slow": ("best", "wait", "cooldown_counter"),
        "stop": ("best", "wait", "best_epoch", "stopped_epoch"),
    }

    def __init__(self, model: keras.Model, schedule: Schedule, run_id: str = ""):
        super().__init__()
        self.run_id, self.saved, self.cost = run_id, 0.0, 0.0
        watch = {"monitor": schedule.monitor, "mode": schedule.mode, "min_delta": MIN_DELTA}
        self.trained, self.epochs, self.rows, self.read = model, schedule.epochs, [], None
        if schedule.reduce_after:
            slow = {"patience": schedule.reduce_after, "factor": schedule.reduce_by}
            self.slow = keras.callbacks.ReduceLROnPlateau(**watch, **slow)
        else:
            self.slow = _Cosine(schedule, _number(model.optimizer.learning_rate))
        self.stop = keras.callbacks.EarlyStopping(
            **watch, patience=schedule.stop_after or schedule.epochs, restore_best_weights=True
        )
        self.callbacks = [self.slow, self.stop, keras.callbacks.TerminateOnNaN(), self]

    def on_train_begin(self, logs=None):
        for name, counters in (self.read or {}).get("counters", {}).items():  # Keras has just set them to their start
            vars(getattr(self, name)).update(counters)
        self.stop.best_weights = (self.read or {}).get("best") or self.stop.best_weights

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1} | {name.replace("-", "_"): float(value) for name, value in logs.items()}
        self.rows.append(row | {"seconds": round(time.monotonic() - self.begun, 1)})
        if not _finite(row):  # TerminateOnNaN looks at the loss of training alone
            self.model.stop_training = True

    @property
    def done(self) -> bool:
        """Whether a state that was read back has nothing left to train: all epochs, or an early stop."""
        return self.read is not None and (
            len(self.rows) >= self.epochs or self.read["counters"]["stop"]["wait"] >= self.stop.patience
        )

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch, counted from 1: losses, metrics, learning rate, seconds."""
        return pd.DataFrame(self.rows)

    def _variables(self) -> list:
        return [*self.trained.variables, *self.trained.optimizer.variables]  # a model's include its dropouts' seeds

    def save(self, path: str | Path) -> None:
        """Write the state to a ``.npz`` file, whole or not at all; numbers and text only.

        The file that was there before is kept as an older one beside it, because a machine that loses its power may
        keep the new one's name without its content. Each array has the check sum of a zip archive.
        """
        path = Path(path)
        counters = {n: {key: vars(getattr(self, n)).get(key) for key in keys} for n, keys in self.COUNTERS.items()}
        arrays = {f"variable{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best{i}": np.asarray(w) for i, w in enumerate(self.stop.best_weights or [])}
        text = json.dumps({"run_id": self.run_id, "rows": self.rows, "counters": counters}, default=float)
        with files.atomic_path(path) as temporary:
            np.savez(temporary, text=text, **arrays)
            if path.is_file():
                path.replace(path.with_name(unfinished.OLDER))

    def restore(self, path: str | Path) -> None:
        """Read back what :meth:`save` wrote for a model of the same kind, compiled alike.

        Raises:
            UserError: the file is not whole, or of another run, another network or another way to train it.
        """
        try:
            text, best, values = self._read(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{paths.shown(path)} is not whole ({reason(error)}).") from error
        if text["run_id"] != self.run_id:
            raise UserError(f"{paths.shown(path)} is the state of another run.")
        here = self._variables()
        if [tuple(v.shape) for v in here] != [v.shape for v in values]:
            raise UserError(f"{paths.shown(path)} is not the state of a {self.trained.name} trained in this way.")
        for variable, value in zip(here, values, strict=True):
            variable.assign(value)
        self.rows, self.read = text["rows"], {"counters": text["counters"], "best": best}

    @staticmethod
    def _read(path: str | Path) -> tuple[dict, list, list]:
        with np.load(path, allow_pickle=False) as found:
            text = json.loads(str(found["text"]))
            best = [found[f"best{i}"] for i in range(sum(name.startswith("best") for name in found.files))]
            return text, best, [found[f"variable{i}"] for i in range(len(found.files) - 1 - len(best))]

    def find(self, folder: str | Path, title: str) -> bool:
        """Read back the newest whole state of this run that a folder has, and say so; tell whether there is one."""
        for path in (Path(folder) / unfinished.STATE, Path(folder) / unfinished.OLDER):
            if path.is_file():
                try:
                    self.restore(path)
                except UserError as error:
                    print(f"{title}: {error} It is not used.", flush=True)
                else:
                    print(f"{title}: {unfinished.WENT_ON} {len(self.rows)}", flush=True)
                    return True
        return False

    def keep(self, folder: str | Path) -> None:
        """Save the state in a folder, unless the last saving took more than ``COST`` of the time since then."""
        begun = time.monotonic()
        if self.cost <= self.COST * (begun - self.saved):
            self.save(Path(folder) / unfinished.STATE)
            self.saved = time.monotonic()
            self.cost = self.saved - begun


class _EpochLine(keras.callbacks.Callback):
    """The cost, announced once the first steps are timed; then one status line: epoch, step and time left."""

    def __init__(self, title: str, epochs: int, steps: int):
        super().__init__()
        self.title, self.epochs, self.steps, self.begun = title, epochs, steps, time.monotonic()
        self.line, self.clock, self.epoch = progress.StatusLine(), None, -1

    def on_train_begin(self, logs=None):
        self.line.show(f"{self.title}: building the graph of {self.steps} steps × {self.epochs} epochs …")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        step, total = self.epoch * self.steps + batch, self.steps * self.epochs
        if self.clock is None:  # the first step also traces the graph, so the forecast counts from the second
            self.clock, self.first = time.monotonic(), step
            return
        spent, done = time.monotonic() - self.clock, step - self.first
        if done == max(1, min(5, self.steps - 1)):
            pace, ahead = spent / done, total - self.first
            print(f"{self.title}: {ahead} steps of {pace:.2f} s, about {ahead * pace:.0f} s", flush=True)
        self.line.show(
            f"{self.title}: epoch {self.epoch + 1} of {self.epochs}, step {batch + 1} of {self.steps}, "
            f"{spent / done:.2f} s a step, {spent / done * (total - 1 - step):.0f} s left at most"
        )

    def on_train_end(self, logs=None):
        epochs = f"{self.epoch + 1} epoch{'s' * (self.epoch > 0)}"
        self.line.show(f"{self.title}: {epochs} in {time.monotonic() - self.begun:.0f} s", final=True)


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    schedule: Schedule,
    folder: str | Path,
    title: str,
    class_weight: dict[int, float] | None = None,
    reuse: bool = False,
    run_id: str = "",
) -> pd.DataFrame:
    """Train a compiled model, keep the weights of its best epoch and write both to disk.

    A training of a run that was stopped goes on after its last epoch that was kept, and ends as an unbroken one would,
    to the last bit on one machine. One that is finished is not trained again as long as its run is not
    (:mod:`stroke_utils.base.unfinished`).

    With the environment variable ``STROKE_TENSORBOARD`` it also writes event files to ``folder/tensorboard``.

    Args:
        model: compiled; afterwards it holds the weights of the best epoch.
        train: ``schedule.epochs`` passes in one dataset, as :mod:`stroke_utils.learn.inputs` makes them.
        validation: one pass.
        schedule: how long, and what is watched.
        folder: gets ``history.csv``, after each epoch, and at the end ``best.weights.h5``, the sign of a finished run.
        title: name on the progress line.
        class_weight: weight of each class in the loss.
        reuse: load both files, where a finished run left them, instead of training.
        run_id: names all that the training is made of, as its run's id does; without it nothing is kept between epochs.

    Returns:
        One row an epoch, counted from 1: losses, metrics, learning rate, seconds.

    Raises:
        UserError: the loss became NaN, a slice's file is gone, the disk is full, memory ran out, or TensorBoard is
            asked for and not installed.
    """
    folder = Path(folder)
    weights, table = folder / "best.weights.h5", folder / "history.csv"
    if run_id:  # in one session a cell may have been changed since the run got its name
        how = [asdict(schedule), _number(model.optimizer.learning_rate), class_weight, _steps(train, schedule.epochs)]
        run_id = f"{run_id} {identity.digest(how)}"
    trained = ""
    if reuse and weights.is_file() and table.is_file():
        trained = f"reused the finished run in {paths.shown(folder)}"
    elif run_id and _finished(folder, run_id):
        trained = f"{unfinished.WAS_DONE}; not trained again"
    if trained:
        _network(model).load_weights(weights)
        print(f"{title}: {trained}")
        return pd.read_csv(table)
    state, steps = State(model, schedule, run_id), _steps(train, schedule.epochs)
    watchers = [_tensorboard(folder)] if os.environ.get("STROKE_TENSORBOARD") else []
    for old in (weights, table):  # a killed run must not look finished
        old.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

    if run_id and state.find(folder, title) and state.done:
        model.set_weights(state.read["best"])
        return _write_finished(model, state, folder, title)
    begun = len(state.rows)
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: files.write_table(table, state.history))
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: state.keep(folder) if run_id else None)
    averaged = [_Average(shown=begun > 0)] if model.optimizer.use_ema else []
    callbacks = [*averaged, *state.callbacks, save, keep, _EpochLine(title, schedule.epochs, steps)]
    with inputs.there(), _explained_memory(model, title):
        model.fit(
            train.skip(begun * steps),
            validation_data=validation,
            initial_epoch=begun,
            epochs=schedule.epochs,
            steps_per_epoch=steps,
            class_weight=class_weight,
            callbacks=callbacks + watchers,
            shuffle=False,
            verbose=0,
        )
    return _write_finished(model, state, folder, title)


@contextlib.contextmanager
def _explained_memory(model: keras.Model, title: str) -> Iterator[None]:
    """Say what to do where memory ran out, on a processor or a GPU; TensorFlow's own text is a page of tensors."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        side = model.input_shape[1]
        raise UserError(
            f"{title}: memory ran out while it trained on images of {side} × {side}. Halve `batch`, or take a smaller "
            "`size`; on a GPU other programs may hold its memory (`nvidia-smi` lists them)."
        ) from error


def _finished(folder: Path, run_id: str) -> bool:
    """Tell whether a training of this run is finished while the run is not."""
    try:
        mark = files.read_json(folder / unfinished.MARK)
        return mark == {"run_id": run_id, "weights": identity.sha256(folder / "best.weights.h5")}
    except (OSError, UserError):
        return False


def _write_finished(model: keras.Model, state: State, folder: Path, title: str) -> pd.DataFrame:
    """Write what a training leaves, the weights last; where a loss became NaN leave nothing."""
    weights, table = folder / "best.weights.h5", folder / "history.csv"
    broken = [row["epoch"] for row in state.rows if not _finite(row)]
    if broken or not state.rows:
        table.unlink(missing_ok=True)
        unfinished.forget(folder)
        raise UserError(f"{title}: the loss became NaN in epoch {min(broken, default=1)}. Lower the learning rate.")
    files.write_table(table, state.history)
    with files.atomic_path(weights) as temporary:
        _network(model).save_weights(temporary)
    if state.run_id:
        files.write_json(folder / unfinished.MARK, {"run_id": state.run_id, "weights": identity.sha256(weights)})
        unfinished.forget_states(folder)  # after the mark: a kill in between must leave one of them
    return state.history


def _network(model: keras.Model) -> keras.Model:
    """Return the same layers without the optimizer: its moments would make a file of weights three times as large.

    Reading goes through it as well, because Keras warns where a file has no moments for the optimizer of its model.
    """
    return keras.Model(model.inputs, model.outputs)


def _tensorboard(folder: Path) -> keras.callbacks.Callback:
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "STROKE_TENSORBOARD is set, but TensorBoard is not here: `pip install -e '.[tensorboard]'` or unset it."
        )
    return keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False)


@dataclass(frozen=True)
class Examples:
    """Pictures with their classes, and what each is used for.

    Attributes:
        paths: PNG files, of any size.
        target: (n, outputs) that goes with the paths.
        split: ``train``, ``validation`` or anything else for each path.
    """

    paths: pd.Series
    target: np.ndarray
    split: pd.Series

    def of(self, split: str) -> tuple[pd.Series, np.ndarray]:
        """Return paths and target of one split."""
        rows = (self.split == split).to_numpy()
        return self.paths[rows], self.target[rows]


def train_classifier(
    model: keras.Model,
    examples: Examples,
    preprocess: models.Preprocess,
    schedule: Schedule,
    folder: str | Path,
    title: str,
    *,
    batch: int,
    seed: int,
    augmentation: str = "none",
    **options,
) -> pd.DataFrame:
    """Do :func:`fit` on the training examples, watching the loss on the validation examples.

    Args:
        model: a compiled classifier of square images.
        examples: of both splits; others are not looked at.
        preprocess: function of a batch with values 0–255.
        schedule, folder, title: as for :func:`fit`.
        batch: slices per step.
        seed: of the order and the augmentation.
        augmentation: a key of :data:`stroke_utils.learn.inputs.AUGMENTATIONS`, for training only.
        options: as for :func:`fit`.
    """
    size = model.input_shape[1]
    train = inputs.image_batches(*examples.of("train"), preprocess, size, batch, seed, schedule.epochs, augmentation)
    validation = inputs.image_batches(*examples.of("validation"), preprocess, size, batch)
    return fit(model, train, validation, schedule, folder, title, **options)


def begin_again(model: keras.Model, like: keras.Model) -> keras.Model:
    """Give a compiled model the start of a fresh one of the same kind: weights, optimizer, seeds. Its graph is kept.

    Building the graph is most of a short training; a series of trainings of one network should pay for it once.

    Args:
        model: changed in place and returned.
        like: compiled alike, not trained yet.
    """
    theirs = [*like.variables, *like.optimizer.variables]
    for mine, value in zip([*model.variables, *model.optimizer.variables], theirs, strict=True):
        mine.assign(value)
    return model


def augmentation_trials(
    build: Callable[[], keras.Model],
    seeds: list[int],
    schedule: Schedule,
    folder: Path,
    deterministic: bool = True,
    **options,
) -> Iterator[tuple[str, int, keras.Model, pd.DataFrame]]:
    """Train one network with every amount of augmentation and every seed, nothing else changed.

    Args:
        build: makes and compiles the network; called after the seed is set.
        seeds: of starting weights, order and augmentation.
        schedule: of each training.
        folder: gets ``<amount>-seed<seed>/`` of each training.
        deterministic: as for :func:`set_seed`.
        options: as for :func:`train_classifier`.

    Yields:
        Amount, seed, the model with the weights of its best epoch (the next training changes it), and its history.
    """
    model = None
    for amount in inputs.AUGMENTATIONS:
        for seed in seeds:
            set_seed(seed, deterministic)
            model = begin_again(model, build()) if model else build()
            place, title = Path(folder, f"{amount}-seed{seed}"), f"{amount}, seed {seed}"
            options |= {"schedule": schedule, "folder": place, "title": title, "augmentation": amount, "seed": seed}
            yield amount, seed, model, train_classifier(model, **options)


def _steps(train: tf.data.Dataset, epochs: int) -> int:
    batches = int(train.cardinality())
    if batches <= 0 or batches % epochs:
        raise UserError(f"The training dataset has {batches} batches, expected {epochs} equal passes of them.")
    return batches // epochs
