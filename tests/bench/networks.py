"""Training steps and inference against PyTorch, ONNX Runtime and OpenVINO; the input pipeline; the cost of a state."""

import itertools
import math
import tempfile
from pathlib import Path

import numpy as np
import yaml

from stroke_utils.data.cohort import Cohort
from tests.bench import scale
from tests.bench.measure import ROOT, Row, Worker, compared, in_turn, side_by_side, timed

SLICES = {"unet": 2394 * 0.9, "classifier": 6951 * 0.8}
"""Training slices of the release by what is trained."""

UNET_SIZES, UNET_BATCH = (128, 256, 512), 2
CLASSIFIER_SIZE, CLASSIFIER_BATCHES = 224, (8, 32)
STEPS_ROUNDS = 3
PASS = 16
"""Steps of a round on the input pipeline. Its buffers are filled once a pass; one over the release has 174 or more."""

UNET_ROUNDS = 9  # of all that is compared its ratio moved most from round to round


def paper(notebook: str) -> dict:
    """Return a notebook's parameters in the profile paper."""
    return yaml.safe_load((ROOT / "params" / "paper" / f"{notebook}.yaml").read_text(encoding="utf-8"))


def in_ms(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Turn seconds into milliseconds."""
    return {name: [1000 * seconds for seconds in times] for name, times in found.items()}


def unet_steps() -> list[Row]:
    """A step of the U-Net-ResNet50 against segmentation-models-pytorch; the bar is for the paper's 512 px."""
    out = []
    for size in UNET_SIZES:
        options = {"size": size, "batch": UNET_BATCH}
        both = {"ours": ("unet_keras", options), "PyTorch, segmentation-models": ("unet_torch", options)}
        found = in_ms(side_by_side(both, UNET_ROUNDS))
        bar = 0.9 if size == UNET_SIZES[-1] else None
        out += compared("U-Net-ResNet50, training step", f"batch {UNET_BATCH}", size, "px a side", "ms", found, bar)
    return out


def classifier_steps() -> list[Row]:
    """A step of two detectors against torchvision's networks; the bar is for the paper's batch of 32."""
    out = []
    for name, batch in itertools.product(("mobilenetv2", "resnet50"), CLASSIFIER_BATCHES):
        options = {"name": name, "size": CLASSIFIER_SIZE, "batch": batch}
        both = {"ours": ("classifier_keras", options), "PyTorch, torchvision": ("classifier_torch", options)}
        found = in_ms(side_by_side(both, STEPS_ROUNDS))
        bar = 1.0 if batch == CLASSIFIER_BATCHES[-1] else None
        out += compared("classifiers, training step", name, batch, "slices a batch", "ms", found, bar)
    return out


def inference() -> list[Row]:
    """Milliseconds a slice of Keras beside the same network in ONNX Runtime and OpenVINO."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for name, size, batches in (("mobilenetv2", 224, (1, 32)), ("resnet50", 224, (1, 32)), ("unet", 512, (1,))):
            file = str(Path(folder, f"{name}.onnx"))
            with Worker("write_onnx", name=name, size=size, file=file) as writer:
                difference = writer.ask()
            if difference > 1e-3:
                raise ValueError(f"{name} answers otherwise outside of Keras, by {difference:.2g}.")
            for batch in batches:
                options = {"name": name, "size": size, "batch": batch}
                peers = {"ONNX Runtime": "infer_onnxruntime", "OpenVINO": "infer_openvino"}
                all_of_them = {"ours": ("infer_keras", options)}
                all_of_them |= {title: (kind, options | {"file": file}) for title, kind in peers.items()}
                found = {n: [1000 * s / batch for s in t] for n, t in side_by_side(all_of_them).items()}
                out += compared("inference, a slice", f"{name}, {size} px", batch, "slices a batch", "ms", found)
    return out


def saving() -> list[Row]:
    """Seconds of saving a training's state beside those of an epoch of the release in the paper's settings.

    The epoch is a step's time, measured in the same process, times the steps of an epoch.
    """
    out, segments, detects = [], paper("05_segmentation"), paper("03_phase1_detection")
    detector = {"size": detects["size"], "batch": detects["batch"]}
    cases = {name: ("classifier_keras", {"name": name} | detector) for name in ("mobilenetv2", "resnet50")}
    cases["U-Net-ResNet50"] = ("unet_keras", {"size": segments["size"], "batch": segments["batch"]})
    for name, (kind, options) in cases.items():
        steps = math.ceil(SLICES[kind.partition("_")[0]] / options["batch"])
        with Worker(kind, **options) as worker:
            tasks = {"ours": lambda: worker.ask("save"), "its epoch": lambda: worker.ask() * steps}  # noqa: B023
            found, millions = in_turn(tasks, STEPS_ROUNDS), worker.ask("weights") / 1e6
        found = {"ours": found["ours"], f"its epoch of {steps} steps": found["its epoch"]}
        out += compared("saving a training's state", name, millions, "million weights", "s", found, 0.05)
    return out


def pipeline(cohort: Cohort) -> list[Row]:
    """Steps on the real pipeline beside steps on one batch held in memory: the CNN, and a U-Net with TFRecords."""
    return [row for size in (96, 224) for row in _classifier_pipeline(cohort, size)] + _unet_pipeline(cohort, 128)


def _fed(model, pipeline, steps: int, rounds: int = 5) -> dict[str, list[float]]:
    """Train a model in turn on a pipeline's batches and on one batch held in memory.

    The pipeline is built once, as in a training, which takes all its epochs from one.
    """
    from stroke_utils.learn.backend import tf

    cached = tf.data.Dataset.from_tensors(next(iter(pipeline))).repeat(steps).prefetch(2)

    def run(data) -> None:
        model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)

    run(cached)  # traces the graph
    both = {"ours": lambda: run(pipeline), "one batch in memory": lambda: run(cached)}
    found = in_turn({name: timed(work) for name, work in both.items()}, rounds)
    return {name: [1000 * seconds / steps for seconds in times] for name, times in found.items()}


def _classifier_pipeline(cohort: Cohort, size: int, batch: int = 32, steps: int = PASS) -> list[Row]:
    from stroke_utils.learn import inputs, models, training

    slices = cohort.slices.head(steps * batch)
    target = np.arange(len(slices), dtype="float32")[:, None] % 2
    training.set_seed(0)
    model = training.compile_classifier(models.detector("cnn", size), 1e-4)
    paths = inputs.resized(slices, size, cohort.fingerprint, quiet=True)
    found = _fed(model, inputs.image_batches(paths, target, inputs.raw, size, batch, seed=0), steps)
    return compared("input pipeline, training step", f"CNN, batch {batch}", size, "px a side", "ms", found, 1.05)


def _unet_pipeline(cohort: Cohort, size: int, batch: int = 8, steps: int = PASS) -> list[Row]:
    from stroke_utils.learn import models, tfrecords, training

    training.set_seed(0)
    form = models.unet_preprocess("resnet50", "unit")
    model = training.compile_unet(models.unet("resnet50", size), 1e-4)
    slices, masks = scale.stroke_rows(cohort, steps * batch)
    with tempfile.TemporaryDirectory() as folder:
        tfrecords.write_records(slices, masks, size, Path(folder, "records"), quiet=True)
        found = _fed(model, tfrecords.record_batches(Path(folder, "records"), form, batch, seed=0), steps)
    case = f"U-Net-ResNet50, batch {batch}"
    return compared("input pipeline, training step", case, size, "px a side", "ms", found, 1.05)
