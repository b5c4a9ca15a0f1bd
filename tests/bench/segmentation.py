"""TFRecords at the release's size, and what the paper's two U-Nets would cost on this machine.

``python -m tests.bench.segmentation curve PASSES FOLDER`` is no part of ``make bench``: it trains the U-Net-ResNet50 of
quick with three seeds and prints what each further pass costs and what it gives (12 minutes for 4); FOLDER is an
unpacked data set.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from stroke_utils.base import paths, progress
from stroke_utils.data import class_masks
from stroke_utils.data.cohort import Cohort
from tests.bench.large import peak_mib

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "params" / "paper" / "05_segmentation.yaml"
STROKES = 2394
STEPS = 3


def rows(cohort: Cohort, n: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return ``n`` stroke slices and their masks, the cohort's again and again under new ids."""
    made = class_masks.write_class_masks(cohort, quiet=True).set_index("slice_id")["class_mask"]
    strokes = cohort.slices.query("stroke == 1 and part == 'train' and label.notna()")
    slices = strokes.iloc[np.arange(n) % len(strokes)].reset_index(drop=True)
    return slices.assign(slice_id=[str(10000 + k) for k in range(n)]), slices["slice_id"].map(made)


def write(cohort: Cohort, n: int) -> None:
    """Write ``n`` slices at 512 × 512 and print seconds, bytes and this process's peak memory in MiB."""
    from stroke_utils.learn import tfrecords

    slices, masks = rows(cohort, n)
    with tempfile.TemporaryDirectory(dir=paths.derived_root().parent) as folder:
        start = time.perf_counter()
        tfrecords.write_records(slices, masks, 512, Path(folder, "records"), quiet=True)
        spent = time.perf_counter() - start
        size = sum(path.stat().st_size for path in Path(folder, "records").iterdir())
    print(spent, size, peak_mib())


def steps(cohort: Cohort, encoder: str) -> None:
    """Train a U-Net for a few steps with the paper's settings and print seconds a step and the whole run's forecast."""
    from stroke_utils.learn import models, tfrecords, training

    p = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    slices, masks = rows(cohort, p["batch"] * (STEPS + 1))
    with tempfile.TemporaryDirectory(dir=paths.derived_root().parent) as folder:
        tfrecords.write_records(slices, masks, p["size"], Path(folder, "records"), quiet=True)
        batches = tfrecords.record_batches(
            Path(folder, "records"), models.unet_preprocess(encoder, p["pixels"]), p["batch"]
        )
        model = training.compile_unet(models.unet(encoder, p["size"]), p["learning_rate"])
        ends = []
        for images, truth in batches:
            loss = model.train_on_batch(images, truth)[0]
            ends.append(time.perf_counter())
    a_step = (ends[-1] - ends[0]) / STEPS  # the first also builds the graph
    hours = a_step * -(-int(STROKES * (1 - p["validation"])) // p["batch"]) * p["epochs"] / 3600
    print(f"  {encoder:16} loss {loss:.3f}  {a_step:5.2f} s a step  whole run {hours:5.1f} h")


def curve(cohort: Cohort, passes: int, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Print minutes of training and mean lesion Dice after each pass, column by column the median over seeds.

    The weights of a pass are those that 05 would keep, were it the last: the best on validation.
    """
    found = [row for seed in seeds for row in scored_passes(cohort, passes, seed)]
    print(f"\nU-Net-ResNet50 of quick, mean lesion Dice of a slice, medians over seeds {seeds}")
    print(pd.DataFrame(found).groupby("pass").median().round(3).to_string())


def scored_passes(cohort: Cohort, passes: int, seed: int) -> list[dict]:
    """Train the U-Net-ResNet50 of quick and score the weights that would be kept after each pass."""
    import keras

    from stroke_utils.base.vocabulary import TYPES
    from stroke_utils.data import splits
    from stroke_utils.learn import models, predict, tfrecords, training
    from stroke_utils.results import parameters

    p, name = parameters.settings("05_segmentation"), "resnet50"
    form = models.unet_preprocess(name, p.pixels)
    made = class_masks.write_class_masks(cohort, method=p.mask_method, quiet=True).set_index("slice_id")["class_mask"]
    strokes = cohort.slices[cohort.slices["label"].isin(TYPES)]
    slices = splits.split(
        strokes[strokes["slice_id"].map(made).notna()], None, p.validation, seed, test_part="session2"
    )
    extracted, held = slices["slice_id"].map(made), slices[slices["split"] != "train"]
    references = extracted.where(slices["split"] != "test", slices["mask"].fillna(extracted))
    training.set_seed(seed)
    model = models.unet(name, p.size, p.weights, p.batchnorm_momentum or None)
    training.compile_unet(model, p.learning_rate)
    schedule = training.Schedule(passes, p.reduce_after)
    state, net = training.State(model, schedule), predict.in_graph(model)
    found, scores, best = [], {}, np.inf

    with tempfile.TemporaryDirectory(dir=paths.derived_root().parent) as folder:
        ways = {Path(folder, "masks"): predict.PLAIN}

        def score(epoch: int, logs: dict) -> None:
            nonlocal best
            if logs["val_loss"] < best:  # else the weights of an earlier pass are kept
                best = logs["val_loss"]
                (table,) = predict.segment(net, held, references, p.size, form, ways, quiet=True).values()
                test = table[table["split"] == "test"]
                scores["validation"] = table.loc[table["split"] == "validation", "lesion_dice"].mean()
                scores["session 2"] = test["lesion_dice"].mean()
                scores.update(test.groupby("label")["lesion_dice"].mean())
            found.append({"pass": epoch + 1, "minutes": sum(row["seconds"] for row in state.rows) / 60} | scores)

        state.callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=score))  # after State has timed the pass
        batches = []
        for part, options in (("train", {"seed": seed, "epochs": passes}), ("validation", {})):
            rows = slices[slices["split"] == part]
            tfrecords.write_records(rows, references[rows.index], p.size, Path(folder, part), quiet=True)
            batches.append(tfrecords.record_batches(Path(folder, part), form, p.batch, **options))
        training.fit(model, *batches, schedule, Path(folder, "run"), f"seed {seed}", state=state)
    return found


def main(cohort: Cohort, release: int) -> None:
    """Run each measurement in a process of its own."""

    def run(*task: object) -> str:
        command = [sys.executable, "-m", "tests.bench.segmentation", *map(str, task), str(cohort.root)]
        return subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout

    print("\nTFRecords of 512 × 512; slices a second, MB, peak MiB")
    seen = {}
    for n in (500, release):
        spent, size, peak = map(float, run("write", n).split())
        seen[n] = peak
        print(f"  {n:5} slices  {n / spent:6.1f} a second  {size / 1e6:7.1f} MB  {peak:6.0f} MiB")
    growth = (seen[release] - seen[500]) * 1024 / (release - 500)
    print(f"  {growth:.1f} kB a slice: memory {'flat' if growth < 20 else 'GROWS'}")
    print(f"the paper's U-Nets on this machine, {progress.cores()} cores, {STROKES} slices, after {STEPS} steps")
    for encoder in ("resnet50", "efficientnetb3"):
        print(run("steps", encoder), end="")


if __name__ == "__main__":
    from stroke_utils.data import open_cohort

    name, what, folder = sys.argv[1:]
    opened = open_cohort(folder, "quick")
    {"write": write, "steps": steps, "curve": curve}[name](opened, int(what) if what.isdigit() else what)
