"""The encoder of phase 1 for phase 2: taken from a finished run of detection, or trained where there is none."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from stroke_utils.base import files, identity, paths, unfinished
from stroke_utils.data import splits
from stroke_utils.data.cohort import Cohort
from stroke_utils.learn import inputs, models, training
from stroke_utils.results import outputs, parameters, runs

NOTEBOOK = outputs.TABLE_NOTEBOOKS["I"]
AUTO = "auto"


@dataclass(frozen=True)
class Encoder:
    """Where a network starts from.

    Attributes:
        path: weights of a whole detector.
        digest: names the network: by all that made it, or by the file's content where a person gave a file.
        origin: in words, for the reader and the record.
    """

    path: Path
    digest: str
    origin: str


def wanted(phase1_encoder: str, name: str, cohort: Cohort, profile: str, seed: int) -> dict[str, str]:
    """Say by digest which encoder phase 2 is made from, before it is looked for or trained.

    Args:
        phase1_encoder: ``none``, a weights file, or ``auto``: the detector as phase 1's parameters file has it trained.
        name: a key of :data:`stroke_utils.learn.models.BACKBONES`.
        cohort: the data.
        profile: whose settings of phase 1 count.
        seed: of the split, the starting weights and the order.

    Returns:
        ``{"phase1_encoder": digest}``; empty with ``none``.

    Raises:
        UserError: there is no such file.
    """
    if phase1_encoder == "none":
        return {}
    if phase1_encoder != AUTO:
        return {"phase1_encoder": identity.sha256(models.weights_for(name, phase1_encoder))[:12]}
    settings = _settings(profile, seed)
    found = _found(name, settings, cohort, profile)
    return {"phase1_encoder": (found or _trained_here(name, settings, cohort)).digest}


def encoder(phase1_encoder: str, name: str, cohort: Cohort, profile: str, seed: int) -> Encoder | None:
    """Return the encoder that :func:`wanted` names, and print where it is from.

    A finished run of phase 1 gives it where the same network was trained there: same cohort, seed, settings and code.
    Runs of other settings are named and never used. Where none fits, the detector is trained here, with the settings of
    phase 1's parameters file and without a test, and kept among the derived data.

    Args, errors: as for :func:`wanted`. Returns None with ``none``.
    """
    if phase1_encoder == "none":
        return None
    if phase1_encoder != AUTO:
        path = Path(models.weights_for(name, phase1_encoder))
        return Encoder(path, identity.sha256(path)[:12], f"file {path.name}, SHA-256 {identity.sha256(path)}")
    settings, title = _settings(profile, seed), models.BACKBONES[name].title
    if found := _found(name, settings, cohort, profile, say=True):
        print(f"phase-1 encoder: {paths.shown(found.path)}")
        return found
    its = _trained_here(name, settings, cohort)
    path = its.folder() / "best.weights.h5"
    with files.lock(path, f"the {title} of phase 1"):
        if not path.is_file():
            print(f"No finished run of phase 1 on this cohort has this {title}: it is trained here first.")
            _train(name, settings, cohort, path.parent, its.digest)
            unfinished.forget(path.parent)
    where = f"trained for phase 2 with the settings of {NOTEBOOK}"
    return Encoder(path, its.digest, _origin(its.digest, path, where))


def _settings(profile: str, seed: int) -> dict:
    """Return the settings of phase 1 in a profile, with this seed."""
    return vars(parameters.settings(NOTEBOOK, profile)) | {"seed": seed}


def _found(name: str, settings: dict, cohort: Cohort, profile: str, say: bool = False) -> Encoder | None:
    """Return the network of these settings that a run of phase 1 left, if any; else say which runs were looked at."""
    wanted, others = runs.network_identity(NOTEBOOK, name, settings, cohort.fingerprint).digest, []
    for record in reversed(runs.read_records(profile, NOTEBOOK)[0]):
        path = outputs.run_folder(record) / name / "best.weights.h5"
        if path.is_file() and record["networks"].get(name) == wanted:
            return Encoder(path, wanted, _origin(wanted, path, f"run {record['run_id']} of {NOTEBOOK}"))
        of_these_data = (record["cohort"]["fingerprint"], record["seed"]) == (cohort.fingerprint, settings["seed"])
        others += [record["run_id"]] if path.is_file() and of_these_data else []
    for run in others if say else ():
        title = models.BACKBONES[name].title
        print(f"The {title} of run {run} was trained with other settings or code, so it is not used.")
    return None


def _trained_here(name: str, settings: dict, cohort: Cohort) -> identity.Identity:
    """Name the network that :func:`_train` gives: the cells of notebook 3 may have been changed, its code may not."""
    return dataclasses.replace(
        runs.network_identity(NOTEBOOK, name, settings, cohort.fingerprint, {"trained by": "results.phase1"}),
        modules=(*runs.TASKS[NOTEBOOK].modules, "results.phase1"),
    )


def _origin(digest: str, path: Path, where: str) -> str:
    return f"network {digest}, {where}, SHA-256 {identity.sha256(path)}"


def _train(name: str, settings: dict, cohort: Cohort, folder: Path, run_id: str) -> None:
    """Train a detector as notebook 3 does, without its test."""
    p, backbone = SimpleNamespace(**parameters.of_network(settings, name)), models.BACKBONES[name]
    slices = splits.split(cohort.slices.dropna(subset=["stroke"]), "stroke", splits.VALIDATION, p.seed)
    target = slices["stroke"].astype(int).to_numpy()[:, None]
    training.set_seed(p.seed, p.deterministic)
    start = models.weights_for(name, p.weights)
    model = models.detector(name, p.size, start, p.dropout, p.batchnorm_momentum or None)
    examples = training.Examples(inputs.resized(slices, p.size, cohort.fingerprint), target, slices["split"])
    training.train_classifier(
        training.compile_classifier(model, training.rate_for(start, p)),
        examples,
        backbone.preprocess,
        training.Schedule.of(p),
        folder,
        f"{backbone.title}, phase 1",
        batch=p.batch,
        seed=p.seed,
        augmentation=p.augmentation,
        class_weight=splits.class_weights(np.ravel(examples.of("train")[1])),
        run_id=run_id,
    )
