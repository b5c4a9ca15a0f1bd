"""What each further pass of quick's U-Net-ResNet50 costs and gives; no part of ``make bench``.

``python -m tests.bench.segmentation PASSES FOLDER`` trains with three seeds (12 minutes for 4 passes); FOLDER is an
unpacked data set.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils.base import paths
from stroke_utils.data import class_masks, open_cohort
from stroke_utils.data.cohort import Cohort


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
    model = models.unet(name, p.size, p.weights, p.batchnorm_momentum or None, p.stochastic_depth)
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


if __name__ == "__main__":
    curve(open_cohort(sys.argv[2], "quick"), int(sys.argv[1]))
