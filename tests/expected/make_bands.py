"""Make the bands of expected scores from the records of many seeds: ``python -m tests.expected.make_bands``.

The seeds run first, for instance by::

    make reproduce SEEDS=0,1,2,3
    make reproduce SEEDS=4,5,6,7,8,9 MODELS=cnn

Each band says of which seeds it is made. Some ran with one thread and some with two, which rounds otherwise.

A band assumes no distribution. A further seed falls below the lowest of n seeds once in n + 1. Another processor is as
good as another seed, so the end goes down once more by the whole range, or by `LEAST`. It never comes as low as what a
model scores that has learned nothing; a seed that does is an error. There is no upper end: to score better is no fault.

It writes ``quick.json``, and into ``smoke.json`` the bands of the CNNs, which train there as long as in quick.
"""

import json
from pathlib import Path

from stroke_utils.base import files
from stroke_utils.course import verify
from stroke_utils.results import parameters

HERE = Path(__file__).parent
LEAST = 0.03
"""Range of scores below which the spread of some seeds is not believed."""

LEAST_DICE = 0.1
"""The same of a mean Dice, which moves more from seed to seed: its slices are few and their lesions found or not."""

SCORES = {
    "03_phase1_detection": ("session1.auc", "validation.auc"),
    "04_phase2_classification": ("session2.macro_f1", "session2.auc"),
    "05_segmentation": ("session2.lesion_dice", "session2.hemorrhage_dice", "session2.ischemia_dice"),
}
"""What is expected of every network, by notebook."""

MORE = {"metrics.cnn.session1_at_half.macro_f1": "03_phase1_detection"}
"""What is expected besides, with its notebook."""

CLEAR = 0.02
"""By how much the lower end of a band lies above the trivial score at least."""


def band(values: list[float], trivial: float, name: str) -> dict:
    """Return the band of some seeds' values of one score, higher being better.

    Raises:
        ValueError: a seed scores no better than the trivial model.
    """
    spread = max(max(values) - min(values), LEAST_DICE if name.endswith("dice") else LEAST)
    least, low = trivial + CLEAR, min(values) - spread
    if min(values) <= least:
        raise ValueError(f"{name}: a seed has {min(values):.3f}, and a model that has learned nothing {trivial:.3f}.")
    found = {"min": round(max(low, least), 3), "trivial": round(trivial, 3)}
    return found | {"seeds": [round(value, 3) for value in values]}


def bands() -> dict[str, dict[str, dict]]:
    """Return the bands of quick by notebook and path in its records."""
    found = {}
    for notebook, named in SCORES.items():
        records = verify.usable("quick", notebook)
        wanted = [f"metrics.{m}.{s}" for m in parameters.settings(notebook).models for s in named]
        wanted += [metric for metric, where in MORE.items() if where == notebook]
        for metric in wanted:
            model = metric.split(".")[1]
            newest = {r["seed"]: verify.at(r, metric) for r in reversed(records) if model in r["metrics"]}
            values = [newest[seed]["value"] for seed in sorted(newest)]
            trivial = max(newest[seed]["baseline"] for seed in newest)
            found.setdefault(notebook, {})[metric] = band(values, trivial, f"{notebook}, {metric}")
    return found


def written(path: Path, found: dict) -> None:
    """Write bands, one a line."""
    lines = []
    for notebook, named in found.items():
        rows = [f"    {json.dumps(metric)}: {json.dumps(its)}" for metric, its in named.items()]
        lines.append(f'  "{notebook}": {{\n' + ",\n".join(rows) + "\n  }")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Write both files and print the bands."""
    quick, smoke = bands(), files.read_json(HERE / "smoke.json")
    for notebook in smoke:
        kept = {metric: its for metric, its in smoke[notebook].items() if not metric.startswith("metrics.cnn.")}
        of_cnn = {m: its for m, its in quick.get(notebook, {}).items() if m.startswith("metrics.cnn.")}
        smoke[notebook] = of_cnn | kept
    written(HERE / "quick.json", quick)
    written(HERE / "smoke.json", smoke)
    for notebook, named in quick.items():
        for metric, its in named.items():
            seen = f"{min(its['seeds']):.3f} to {max(its['seeds']):.3f} of {len(its['seeds'])} seeds"
            print(f"{notebook[:2]} {metric.removeprefix('metrics.'):45} {verify.in_words(its):16} seen {seen}")


if __name__ == "__main__":
    main()
