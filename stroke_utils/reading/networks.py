"""The networks of finished runs that answer a slice: detection, type, regions; and how far their numbers hold."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import identity, paths
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import model_title
from stroke_utils.data.cohort import Cohort
from stroke_utils.data.opening import open_cohort, open_phantom
from stroke_utils.data.pixels import read_rgb
from stroke_utils.evaluate import calibration
from stroke_utils.learn import models, predict
from stroke_utils.learn.backend import keras, tf
from stroke_utils.reading import strange
from stroke_utils.results import runs

DETECTION, TYPE, REGIONS = tuple(runs.TASKS)
RANKED_BY = {DETECTION: "auc", TYPE: "auc", REGIONS: "lesion_dice"}
"""The score on validation by which one of a run's networks is taken; of regions it is that of plain masks."""

FITTED = 300
"""Slices of training at most that say what is usual."""

FEWEST = 60
"""Of these slices from heads that validation lacks, else all of training are taken."""

_WEIGHTS = "best.weights.h5"


@dataclass(frozen=True)
class Source:
    """A trained network on disk.

    Attributes:
        notebook: that trained it.
        model: its name there.
        folder: its own, in that of its run.
        record: of its run.
    """

    notebook: str
    model: str
    folder: Path
    record: dict

    @property
    def title(self) -> str:
        """The paper's name of it."""
        return model_title(self.model, runs.TASKS[self.notebook].table)

    def about(self) -> dict:
        """Say which run it is of, for the answer."""
        score = _score(self.record, self.model)
        return {
            "task": runs.TASKS[self.notebook].title,
            "network": self.title,
            "run": f"{self.record['profile']}/{self.notebook}/{self.record['run_id']}",
            "start": self.record.get("starts", {}).get(self.model, ""),
            "finished": self.record["finished"],
            "weights_sha256": identity.sha256(self.folder / _WEIGHTS),
            f"validation_{RANKED_BY[self.notebook]}": score,
        }


@dataclass(frozen=True)
class Calibration:
    """How far a classifier's probabilities come true.

    Attributes:
        temperature: chosen on validation; 1 where there is none.
        ece: expected calibration error on slices held out, after the temperature; None where there are none.
        n: of these slices.
        part: whose slices they are.
    """

    temperature: float = 1.0
    ece: float | None = None
    n: int = 0
    part: str = ""


def find(given: Sequence[str | os.PathLike] = (), profile: str = "quick", fingerprint: str = "") -> dict[str, Source]:
    """Find one network for each task: those given, and for the others those of the last finished runs on the same data.

    Args:
        given: folders of runs or of single networks in them, or their ``best.weights.h5``; or the folder of a profile,
            where the runs are then looked for.
        profile: whose last finished runs are taken.
        fingerprint: of the data that they must have learned from; empty: any, the same for all.

    Returns:
        A network by notebook, each the best of its run on validation unless one was given.

    Raises:
        UserError: one message that says what is missing and what to do.
    """
    root, named = paths.results_root() / profile, []
    for each in map(Path, given):
        path = each.expanduser().resolve()
        if any(path.glob(f"{REGIONS}/*/record.json")):
            root = path
        else:
            named.append(_named(path, each))
    chosen = {source.notebook: source for source in named}
    if len(chosen) < len(named):
        raise UserError("Two of the given weights are for one task. Give one network for each task at most.")
    prints = {source.record["cohort"]["fingerprint"] for source in named}
    if len(prints) > 1:
        raise UserError("The given weights were trained on different data. Give networks of one data set.")
    prints |= {fingerprint} - {""}
    for notebook in (REGIONS, DETECTION, TYPE):
        if notebook in chosen:
            continue
        found = _of_data(root / notebook, prints)
        if not found:
            lacking = runs.TASKS[notebook].title
            also = " on the same data" if prints else ""
            whole = [
                each.name for each in _profiles() if not given and all(_of_data(each / n, prints) for n in runs.TASKS)
            ]
            there = f" A profile that has all three: --profile {' or '.join(whole)}." if whole else ""
            raise UserError(
                f"There is no finished run for {lacking} ({notebook}){also} under {paths.shown(root)}, so there are "
                f"no weights to answer with.{there} Run `make reproduce` first, or give a run's folder or its "
                f"{_WEIGHTS}: --weights RUN."
            )
        chosen[notebook] = found[-1]
        prints.add(_print(found[-1]))
    return {notebook: chosen[notebook] for notebook in runs.TASKS}


def _profiles() -> list[Path]:
    """Return the folders of profiles under ``results/``."""
    return sorted(paths.results_root().glob("*/")) if paths.results_root().is_dir() else []


def _print(source: Source) -> str:
    return source.record["cohort"]["fingerprint"]


def _of_data(folder: Path, prints: set[str]) -> list[Source]:
    """Return what `_finished` does, of the given data alone; of no data given: all."""
    return [source for source in _finished(folder) if not prints or _print(source) in prints]


def _finished(folder: Path) -> list[Source]:
    """Return the best network of each finished run of a notebook, the last run last."""
    found = [_best(path.parent) for path in sorted(folder.glob("*/record.json"))]
    return sorted((source for source in found if source), key=lambda source: source.record["finished"])


def _best(run: Path) -> Source | None:
    record = runs.evaluated(run)[0]
    if record is None or record["notebook"] not in runs.TASKS:
        return None
    scored = []
    for model in record["parameters"]["models"]:
        if (run / model / _WEIGHTS).is_file():
            scored.append((_score(record, model) or 0, model))
    return Source(record["notebook"], max(scored)[1], run / max(scored)[1], record) if scored else None


def _score(record: dict, model: str) -> float | None:
    """Return the score on validation by which the networks of a run are ranked."""
    parts = record["metrics"].get(model, {})
    return parts.get("validation", {}).get(RANKED_BY[record["notebook"]], {}).get("value")


def _named(path: Path, given: Path) -> Source:
    """Return the network that a path names."""
    folder = path.parent if path.is_file() else path
    if (folder / "record.json").is_file() and (source := _best(folder)):
        return source
    record = runs.evaluated(folder.parent)[0] if (folder.parent / "record.json").is_file() else None
    whole = record and record["notebook"] in runs.TASKS and (folder / _WEIGHTS).is_file()
    if not whole or (path.is_file() and path.name != _WEIGHTS):
        raise UserError(
            f"{given} is no network of a finished run. Expected the folder of a run of {', '.join(runs.TASKS)}, a "
            f"network's folder in it, or its {_WEIGHTS}: what lies beside it says how the network is built."
        )
    return Source(record["notebook"], folder.name, folder, record)


class Networks:
    """Three networks, loaded once, that answer slice after slice.

    Attributes:
        sources: a network by notebook.
        calibrations: of detection and type, by notebook.
        threshold: probabilities of stroke at or above it, before the temperature, are called strokes.
        origin: of the data that the networks learned from.
        usual: what slices look like that the networks know; None where these slices are not at hand.
        masks: how the probabilities of regions become masks.
        digest: names all that an answer depends on.
    """

    def __init__(self, sources: dict[str, Source], data_dir: str = "", quiet: bool = False):
        """Load the networks.

        Args:
            sources: of :func:`find`.
            data_dir: the data that they learned from; empty: the phantom where it is that, else ``STROKE_DATA``.
            quiet: show no progress.
        """
        self.sources = sources
        detection, kind = sources[DETECTION], sources[TYPE]
        self.origin = detection.record["cohort"]["origin"] or {}
        self.calibrations = {source.notebook: _calibration(source.folder) for source in (detection, kind)}
        named = detection.record["metrics"].get(detection.model, {}).get("thresholds", {})
        self.threshold = float(named.get("rule", 0.5))
        detector = models.detector(detection.model, detection.record["parameters"]["size"])
        detector.load_weights(detection.folder / _WEIGHTS)
        typist = models.type_classifier(kind.model, kind.record["parameters"]["size"])
        typist.load_weights(kind.folder / _WEIGHTS)
        segmenter, self._prepare_unet, about = models.load_unet(sources[REGIONS].folder)
        self._side, self._crop = about["size"], about.get("crop", False)
        self.masks = predict.kept_options(about)
        self._detect = _asked(strange.with_features(detector), models.BACKBONES[detection.model].preprocess)
        self._type = _asked(typist, models.TYPE_PREPROCESS[kind.model])
        self._segment = predict.in_graph(segmenter)
        code = identity.code_version("reading.networks", "reading.scan")
        weights = [identity.sha256(source.folder / _WEIGHTS) for source in sources.values()]
        self.usual = self._usual(data_dir, quiet)
        heat = [each.temperature for each in self.calibrations.values()]
        says = code, weights, self.threshold, heat, asdict(self.masks)
        self.digest = identity.digest([*says, self.usual and self.usual.limit], 12)

    @property
    def run(self) -> str:
        """The run whose network finds the regions."""
        return self.sources[REGIONS].record["run_id"]

    @property
    def drawn(self) -> bool:
        """Whether the networks learned from drawn heads."""
        return bool(self.origin.get("phantom"))

    @property
    def remark(self) -> str:
        """What stands on every page."""
        return "Not a medical device, trained on drawn heads" if self.drawn else "Not a medical device"

    def about(self) -> dict:
        """Say who answers and how far the numbers hold, for the answer."""
        return {
            "remark": self.remark,
            "learned_from": self.origin.get("name") or "a data set of the user's",
            "networks": [source.about() for source in self.sources.values()],
            "masks": asdict(self.masks),
            "stroke_from": self.calibrated(DETECTION, self.threshold),
            "calibration": {
                runs.TASKS[name].title: {
                    "temperature": each.temperature,
                    "ece": each.ece,
                    "slices": each.n,
                    "part": each.part,
                }
                for name, each in self.calibrations.items()
            },
            "unusual_from": None if self.usual is None else self.usual.limit,
        }

    def calibrated(self, notebook: str, probability: float) -> float:
        """Return a network's probability after its temperature."""
        return float(calibration.scaled(np.array([probability]), self.calibrations[notebook].temperature)[0])

    def look(self, rgb: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the detector's raw probability of stroke on a slice, uint8 (H, W, 3), and its features, (k,)."""
        probability, features = self._detect(rgb)
        return float(probability[-1]), features

    def type_of(self, rgb: np.ndarray) -> float:
        """Return the raw probability of hemorrhage on a slice with a stroke."""
        return float(self._type(rgb)[-1])

    def regions_of(self, rgb: np.ndarray) -> np.ndarray:
        """Return the class mask of a slice, uint8 (H, W) of 0 background, 1 ischemia, 2 hemorrhage."""
        box, flip = predict.seen(rgb, self._crop), self.masks.flip
        soft = predict.soft_masks(self._segment, rgb[box], self._side, self._prepare_unet, flip)[flip]
        return predict.laid_back(predict.class_mask(soft, rgb[box].shape[:2], self.masks), box, rgb.shape[:2])

    def _usual(self, data_dir: str, quiet: bool) -> strange.Usual | None:
        """Read what is usual, or learn it from the slices of training and validation; None where they are not here."""
        source = self.sources[DETECTION]
        inputs = {"network": identity.sha256(source.folder / _WEIGHTS), "cohort": _print(source)}
        made_by = identity.Identity("usual", ("reading.networks", "reading.strange"), inputs, {"slices": FITTED})
        kept = made_by.path / "usual.npz"
        if made_by.fault(made_by.path) is None and kept.is_file():
            return strange.Usual.read(kept)
        cohort = _cohort_of(source, data_dir, quiet)
        split = source.folder.parent / "split.csv"
        if cohort is None or not split.is_file():
            return None
        slices = cohort.slices.merge(pd.read_csv(split, dtype=str)[["slice_id", "split"]], on="slice_id")
        learned, held = (slices[slices["split"] == name] for name in ("train", "validation"))
        if not len(held):
            return None
        strangers = learned[~learned["patient"].isin(held["patient"].dropna())]  # else the limit knows their heads
        learned = strangers if len(strangers) >= FEWEST else learned
        learned = learned.sample(min(FITTED, len(learned)), random_state=0)
        pictures = (map(read_rgb, rows["png"]) for rows in (learned, held))
        usual = strange.Usual.fit(*pictures, lambda rgb: self._detect(rgb)[1])
        usual.write(made_by.folder() / "usual.npz")
        return usual


def _cohort_of(source: Source, data_dir: str, quiet: bool) -> Cohort | None:
    """Open the data that a network learned from; None where they are not at hand."""
    origin = source.record["cohort"]["origin"] or {}
    if not data_dir and origin.get("phantom"):  # STROKE_DATA may name other data
        cohort = open_phantom(origin.get("size", "quick"), origin.get("seed", 0), quiet)
    elif data_dir or os.environ.get("STROKE_DATA"):
        cohort = open_cohort(data_dir, quiet=quiet)
    else:
        return None
    return cohort if cohort.fingerprint == _print(source) else None


def _calibration(folder: Path) -> Calibration:
    """Choose a classifier's temperature on validation and measure the error that is left on the test."""
    try:
        table = pd.read_csv(folder / "predictions.csv")
    except (OSError, ValueError):
        return Calibration()
    parts = {name: rows for name, rows in table.groupby("split")}
    if "validation" not in parts or parts["validation"]["truth"].nunique() < 2:
        return Calibration()
    temperature = calibration.temperature(parts["validation"]["truth"], parts["validation"]["probability"])
    part = "test" if "test" in parts else "validation"
    held = parts[part]
    error = calibration.ece(held["truth"], calibration.scaled(held["probability"].to_numpy(), temperature))
    return Calibration(float(temperature), error, len(held), part)


def _asked(model: keras.Model, preprocess: models.Preprocess):
    """Return a function from one slice, uint8 (H, W, 3), to the network's answers; its graph is traced once."""
    side = model.input_shape[1]
    call = tf.function(lambda batch: model(preprocess(batch), training=False))

    def ask(rgb: np.ndarray):
        small = tf.image.resize(tf.cast(rgb, tf.float32), (side, side), antialias=True)[None]
        found = call(tf.round(small))
        return [each[0].numpy() for each in found] if isinstance(found, list | tuple) else found[0].numpy()

    return ask
