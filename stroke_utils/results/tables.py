"""Scores laid out as tables for a reader."""

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from stroke_utils.base.vocabulary import MASK_CLASSES, MODEL_TITLES, model_title
from stroke_utils.data.cohort import Cohort, DataSet
from stroke_utils.data.masks import read_class_mask
from stroke_utils.evaluate.metrics import ANSWERS
from stroke_utils.results.outputs import SOURCE
from stroke_utils.results.provenance import short_commit
from stroke_utils.results.runs import TASKS


def shown_score(score: dict) -> str:
    """Return a score with its interval as text: ``0.87 (0.82–0.91)``."""
    return f"{score['value']:.2f} ({score['low']:.2f}–{score['high']:.2f})"


def titled(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the models of a table (``model``, or ``a`` and ``b``; and their ``notebook``) the names that readers see."""
    tables = [TASKS[notebook].table for notebook in rows["notebook"]]
    names = [column for column in ("model", "a", "b") if column in rows]
    shown = {column: [model_title(*pair) for pair in zip(rows[column], tables, strict=True)] for column in names}
    return rows.assign(**shown)


def shown_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay out scores of :func:`stroke_utils.results.select.scores_of`; where one seed has run, no spread is shown."""
    shown = titled(rows).drop(columns=SOURCE).round(3)
    return shown.drop(columns=["lowest", "highest"]) if (shown["seeds"] <= 1).all() else shown


def score_table(
    scores: dict[str, dict],
    part: str,
    metrics: list[str],
    titles: dict[str, str] = MODEL_TITLES,
    positive: str = "positive",
) -> pd.DataFrame:
    """Lay out the scores of several models, one row a model, each with its 95 % interval; then the baselines and n.

    Where a score has two classes, the baselines are both trivial answers: every slice positive, and none.

    ``n`` counts the slices behind a score, which differ: a recall counts strokes only, a precision what was predicted
    as stroke.

    Args:
        scores: score dictionaries by model, part and metric, as a run record holds them.
        part: ``session1``, ``session2`` or ``validation``.
        metrics: columns.
        titles: names of the rows by model: ``MODEL_TITLES``, or ``UNET_TITLES`` for segmentation.
        positive: name of class 1 in the baselines' rows.
    """
    parts = {titles.get(model, model): found[part] for model, found in scores.items()}
    first = next(iter(parts.values()))
    metrics = [m for m in metrics if m in first]  # a type may be absent
    rows = {model: [shown_score(found[m]) for m in metrics] for model, found in parts.items()}
    for name, found in baselines({m: first[m] for m in metrics}, positive).items():
        rows[name] = [f"{found[m]:.2f}" for m in metrics]
    numbers = [sorted({found[m]["n"] for found in parts.values()}) for m in metrics]
    rows["n"] = ["–".join(dict.fromkeys(map(str, (n[0], n[-1])))) for n in numbers]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[m.replace("_", " ") for m in metrics])


def baselines(scores: dict[str, dict], positive: str = "positive") -> dict[str, dict[str, float]]:
    """Return the trivial models that some scores of one model are read beside, by their name.

    Args:
        scores: score dictionaries by metric.
        positive: name of class 1.

    Returns:
        Scores by metric of ``always <positive>`` and ``never <positive>``; of ``trivial baseline`` alone where the
        scores have no two classes, or come from a record that was written before there were two.
    """
    if all(answer in score for score in scores.values() for answer in ANSWERS):
        return {f"{a} {positive}": {name: score[a] for name, score in scores.items()} for a in ANSWERS}
    return {"trivial baseline": {name: score["baseline"] for name, score in scores.items()}}


def baseline_words(row: pd.Series | tuple, decimals: int = 2) -> str:
    """Return the baselines of one score as text: ``0.52 always, 0.00 never``, or the one there is."""
    both = [getattr(row, answer, np.nan) for answer in ANSWERS]
    if not pd.isna(both).any():
        return ", ".join(f"{value:.{decimals}f} {answer}" for value, answer in zip(both, ANSWERS, strict=True))
    one = getattr(row, "baseline", np.nan)
    return "not known" if pd.isna(one) else f"{one:.{decimals}f}"


def independent_units(scores: dict[str, dict]) -> str:
    """Say what the intervals of some scores take for independent."""
    units = {score["unit"] for parts in scores.values() for named in parts.values() for score in named.values()}
    if units == {"patients"}:
        return "Intervals resample patients with all their slices."
    return "Intervals take slices for independent, because patients are unknown: they are rather too narrow."


def pixel_confusion(slice_ids: pd.Series, references: pd.Series, predicted: Path) -> pd.DataFrame:
    """Count pixels by true and predicted class over several slices.

    Args:
        slice_ids: the slices.
        references: paths of true class masks by slice id.
        predicted: folder of predicted class masks.

    Returns:
        Rows true class, columns share of its pixels predicted as each class, and the number of pixels.
    """
    counts = np.zeros((3, 3), int)
    for slice_id in slice_ids:
        truth, found = read_class_mask(references[slice_id]), read_class_mask(predicted / f"{slice_id}.png")
        counts += np.bincount(truth.ravel() * 3 + found.ravel(), minlength=9).reshape(3, 3)
    columns = [f"predicted {name}" for name in MASK_CLASSES]
    table = pd.DataFrame(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), MASK_CLASSES, columns)
    return table.map("{:.1%}".format).assign(pixels=counts.sum(axis=1))


def run_table(records: list[dict], cohort: Cohort | DataSet) -> pd.DataFrame:
    """List run records: notebook, run, cohort (this one or another), minutes, memory, commit."""
    rows = []
    for record in records:
        same = record["cohort"]["fingerprint"] == cohort.fingerprint
        commit = short_commit(record)
        minutes, memory = round(record["wall_s"] / 60, 1), round(record["peak_memory_mib"] / 1024, 1)
        rows.append((record["notebook"], record["run_id"], "this" if same else "another", minutes, memory, commit))
    return pd.DataFrame(rows, columns=["notebook", "run", "cohort", "minutes", "memory, GiB", "commit"])


def beside_the_paper(results: pd.DataFrame, table: str) -> Styler:
    """Return one of the paper's tables as text: the paper's value, ours with its interval, what stands behind it."""
    rows, shown = [], results[results["table"] == table]
    shown = shown.assign(model=[model_title(model, table) for model in shown["model"]])
    for row in shown.itertuples():
        interval = f" ({row.low:.2f}–{row.high:.2f})" if not np.isnan(row.low) else ""
        spread = f"{row.lowest:.2f}–{row.highest:.2f} of {row.seeds}" if row.seeds > 1 else f"{row.seeds}"
        ours = (f"{row.ours:.2f}{interval}", spread, int(row.n), baseline_words(row)) if row.seeds else ("", "", "", "")
        start = row.start if row.seeds else ""
        rows.append((row.model, start, row.score, f"{row.paper:.4f}".rstrip("0"), *ours, row.verdict))
    columns = ["model", "start here", "score", "paper", "here", "seeds", "n", "baseline here", "verdict"]
    said = shown.groupby("convention", sort=False)["model"].unique().map(", ".join)
    caption = "; ".join(f"{who}: {how}" if len(said) > 1 else how for how, who in said.items())
    return pd.DataFrame(rows, columns=columns).style.hide(axis="index").set_caption(f"here: {caption}")


def shown_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of :func:`stroke_utils.results.paper.paired` as text, one row each."""
    rows = []
    for row in titled(pairs).itertuples():
        seeds = f"{row.lowest:+.3f} to {row.highest:+.3f} of {row.seeds}" if row.seeds > 1 else f"{row.seeds}"
        p = ["" if v != v else f"{v:.3f}" if v >= 0.0005 else "< 0.001" for v in (row.p_holm, row.p_bootstrap_holm)]
        interval = f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
        rows.append((row.notebook[:2], row.a, row.b, row.measure, interval, seeds, row.n, row.unit, row.test, *p))
    names = ["notebook", "a", "b", "measure", "difference", "seeds", "n", "unit", "test", "p (Holm)"]
    return pd.DataFrame(rows, columns=[*names, "bootstrap p (Holm)"])


def counts(matrices: dict[str, np.ndarray], names: tuple[str, str]) -> pd.DataFrame:
    """Return confusion matrices as one table: matrix, truth, predicted, slices."""
    rows = [(title, names[t], names[c], int(m[t, c])) for title, m in matrices.items() for t in (0, 1) for c in (0, 1)]
    return pd.DataFrame(rows, columns=["matrix", "truth", "predicted", "slices"])
