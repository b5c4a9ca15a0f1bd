"""The encoder of phase 1 for phase 2: taken from a finished run of detection, or trained where there is none."""

from pathlib import Path

import numpy as np

from stroke_utils.base import paths
from stroke_utils.data import splits
from stroke_utils.data.cohort import Cohort
from stroke_utils.learn import inputs, models, training
from stroke_utils.results import outputs, parameters, runs

NOTEBOOK = "03_phase1_detection"


def finished_weights(name: str, cohort: Cohort, profile: str, seed: int) -> Path | None:
    """Return the weights of a detector that the newest run of this cohort, profile and seed left, if any."""
    found = None
    for record in runs.records(profile, NOTEBOOK)[0]:
        path = outputs.run_folder(record) / name / "best.weights.h5"
        if (record["cohort"]["fingerprint"], record["seed"]) == (cohort.fingerprint, seed) and path.is_file():
            found = path
    return found


def detector_weights(name: str, cohort: Cohort, profile: str, seed: int, folder: Path) -> Path:
    """Return a file with the weights of a trained detector, and print where they are from.

    A finished run of phase 1 on the same cohort with the same seed gives them; else the detector is trained here, with
    the settings of phase 1's parameters file and without a test, and left in ``folder``.

    Args:
        name: a key of :data:`stroke_utils.learn.models.BACKBONES`.
        cohort: the data.
        profile: whose records and settings count.
        seed: of the split, the starting weights and the order.
        folder: for what is trained here.
    """
    path = finished_weights(name, cohort, profile, seed)
    if path:
        print(f"phase-1 encoder: {paths.shown(path)}")
        return path
    title = models.BACKBONES[name].title
    print(f"No finished run of phase 1 on this cohort has a {title}: it is trained here first.")
    p = parameters.settings(NOTEBOOK, profile)
    known = cohort.slices.dropna(subset=["stroke"])
    slices = splits.split(known, "stroke", p.validation, seed)
    target = slices["stroke"].astype(int).to_numpy()[:, None]
    training.set_seed(seed)
    model = models.detector(name, p.size, models.weights_for(name, p.weights), p.dropout, p.batchnorm_momentum or None)
    training.train_classifier(
        training.compile_classifier(model, p.learning_rate),
        inputs.resized(slices, p.size, cohort.fingerprint),
        target,
        slices["split"],
        models.BACKBONES[name].preprocess,
        training.Schedule(p.epochs, p.reduce_after, p.stop_after),
        folder,
        f"{title}, phase 1",
        batch=p.batch,
        seed=seed,
        augmentation=p.augmentation,
        class_weight=splits.class_weights(np.ravel(target[(slices["split"] == "train").to_numpy()])),
    )
    return folder / "best.weights.h5"
