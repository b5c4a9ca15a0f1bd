"""Long benchmarks of the classifiers' training, no part of ``make bench``.

``python -m tests.bench.training scale`` trains one epoch of the CNN at 224 px on 500 slices and on a whole release (a
quarter of an hour on 2 cores), ``pretrained`` fine-tunes networks from ImageNet against their own runs from random
weights (half an hour).
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from stroke_utils.data import open_cohort, splits
from stroke_utils.data.cohort import read_cohort
from stroke_utils.evaluate import metrics
from stroke_utils.learn import inputs, predict, training
from stroke_utils.learn import models as networks
from tests.bench.large import RELEASE, peak_mib, release
from tests.bench.measure import alone

# isort: split
import keras

SIZE, BATCH = 224, 32


def _cnn() -> keras.Model:
    training.set_seed(0)
    return training.compile_classifier(networks.detector("cnn", SIZE), 1e-4)


def one_epoch(folder: str) -> None:
    """Split, weigh the classes and train one epoch of the CNN; print sizes, weights, seconds and peak MiB."""
    cohort = read_cohort(folder, quiet=True, thorough=False)
    slices = splits.split(cohort.slices.dropna(subset=["stroke"]), "stroke", 0.2, 0)
    target = slices["stroke"].astype(int).to_numpy()[:, None]
    paths = inputs.resized(slices, SIZE, cohort.fingerprint, quiet=True)
    examples = training.Examples(paths, target, slices["split"])
    weights, schedule = splits.class_weights(examples.of("train")[1][:, 0]), training.Schedule(1, 3, 0)
    options = {"batch": BATCH, "seed": 0, "class_weight": weights}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as run:
        training.train_classifier(_cnn(), examples, inputs.raw, schedule, run, "CNN", **options)
    sizes = slices["split"].value_counts().to_dict()
    print(f"{sizes} weights { {k: round(v, 3) for k, v in weights.items()} }")
    print(time.perf_counter() - start, peak_mib())


def scale(source: Path) -> None:
    """Train one epoch on 500 slices and on a whole release, each in a process of its own."""
    print(f"\none epoch of the CNN at {SIZE} px, batch {BATCH}", flush=True)
    peaks = []
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        for n in (500, RELEASE):
            place = release(source, Path(scratch, str(n)), n)
            said = alone("tests.bench.training", "one_epoch", place, STROKE_DERIVED=str(Path(scratch, f"derived-{n}")))
            about, numbers = said.strip().splitlines()[-2:]
            seconds, peak = map(float, numbers.split())
            peaks.append(peak)
            print(f"  {n:5} slices: {about}, {seconds:.0f} s, peak {peak:.0f} MiB", flush=True)
    ratio = peaks[1] / peaks[0]
    print(f"  peak memory {ratio:.3f} ×  bar 1.100: {'held' if ratio <= 1.1 else 'MISSED'}")


def pretrained(cohort, weights: str, epochs: int, seeds: int, size: int, rate: float) -> None:
    """Fine-tune from ImageNet and from random weights at equal epochs; pair the session-1 AUCs by seed."""
    print(f"\nImageNet against random weights: {size} px, batch {BATCH}, {epochs} epochs, rate {rate}, {seeds} seeds")
    for name in ("mobilenetv2", "resnet50"):
        rows, probability, model = [], {}, None
        for seed in range(seeds):
            known = cohort.slices.dropna(subset=["stroke"])
            slices = splits.split(known, "stroke", 0.2, seed, test_part="session1")
            target = slices["stroke"].astype(int).to_numpy()[:, None]
            paths = inputs.resized(slices, size, cohort.fingerprint, quiet=True)
            test = (slices["split"] == "test").to_numpy()
            form, examples = networks.BACKBONES[name].preprocess, training.Examples(paths, target, slices["split"])
            options = {"batch": BATCH, "seed": seed, "augmentation": "light"}
            options["class_weight"] = splits.class_weights(examples.of("train")[1][:, 0])
            for start in ("none", weights):
                training.set_seed(seed)
                fresh = networks.detector(name, size, networks.weights_for(name, start), 0.3, 0.9)
                training.compile_classifier(fresh, rate)
                model = training.begin_again(model, fresh) if model else fresh
                with tempfile.TemporaryDirectory() as folder:
                    schedule = training.Schedule(epochs, 2, 0)
                    training.train_classifier(model, examples, form, schedule, folder, name, **options)
                q = predict.probabilities(model, paths[test], form, size)
                probability[seed, start != "none"] = q
            truth = target[test, 0]
            rows.append([metrics.sk.roc_auc_score(truth, probability[seed, pre]) for pre in (False, True)])
            print(f"  {name} seed {seed}: random {rows[-1][0]:.3f}, ImageNet {rows[-1][1]:.3f}", flush=True)
        # Seeds share the test slices: patients are drawn anew once, for all seeds and both starts together.
        drawn = metrics.resamples(truth, slices["patient"][test])
        aucs = {key: metrics.resampled_auc(truth, q, drawn) for key, q in probability.items()}
        means = np.mean([aucs[seed, True] - aucs[seed, False] for seed in range(seeds)], axis=0)
        low, high = np.nanpercentile(means, [2.5, 97.5])
        print(f"  {name}: AUC {np.subtract(*np.mean(rows, axis=0)[::-1]):+.3f} ({low:+.3f} to {high:+.3f}) by ImageNet")


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["scale", "one_epoch", "pretrained"])
    parser.add_argument("folder", nargs="?", default="", help="data folder; default: the quick phantom")
    parser.add_argument("--weights", default="imagenet", help="pretrained: imagenet, or a folder of weights files")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--rate", type=float, default=5e-4)
    given = parser.parse_args()
    if given.what == "one_epoch":  # what `scale` does in a process of its own, so that each has its own peak
        if not given.folder:
            parser.error("one_epoch needs a data folder")
        return one_epoch(given.folder)
    cohort = open_cohort(given.folder, "quick")
    if given.what == "scale":
        return scale(cohort.root)
    return pretrained(cohort, given.weights, given.epochs, given.seeds, given.size, given.rate)


if __name__ == "__main__":
    main()
