"""``make bench``: one table, one CSV file and one figure of what the kit costs beside what else there is.

``python -m tests.bench`` does all; ``python -m tests.bench unet classifiers`` does some and keeps the others' lines;
``python -m tests.bench --markdown`` measures nothing and prints the last run's lines that have a bar, as a table in
Markdown. The files lie in ``results/bench/``.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pandas as pd

from stroke_utils.base import files, paths, progress
from stroke_utils.data import open_cohort
from tests.bench.contenders import CPU
from tests.bench.measure import Row, alone, as_dict

PAINTED = (15, 60)
"""Overlays in the comparisons of extractors."""


def rows_of(item: str, folder: str) -> list[Row]:
    """Measure one item in this process."""
    from tests.bench import course, extraction, networks, scale

    def painted() -> list[Row]:
        overlays = open_cohort(folder, "quick").slices.query("part == 'train'").dropna(subset="overlay")
        return [row for n in PAINTED for row in extraction.rows(overlays.head(n))]

    return {
        "course": lambda: course.overhead(Path(folder)),
        "pipeline": lambda: networks.pipeline(open_cohort(folder, "quick")),
        "extraction": painted,
        "unet": networks.unet_steps,
        "classifiers": networks.classifier_steps,
        "inference": networks.inference,
        "state": networks.saving,
        "phantom": course.phantom,
        "scale": lambda: scale.rows(Path(folder)),
    }[item]()


ITEMS = ("course", "pipeline", "extraction", "unet", "classifiers", "inference", "state", "phantom", "scale")


def table_of(found: pd.DataFrame) -> str:
    """Return the table as it is printed."""

    def number(value: float) -> str:
        return "" if pd.isna(value) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"

    shown = pd.DataFrame(
        {
            "item": found["item"].where(~found["item"].duplicated(), ""),
            "case": found["case"],
            "work": [f"{number(row.work)} {row.of}" for row in found.itertuples()],
            "ours": [f"{number(row.ours)} {row.unit}" for row in found.itertuples()],
            "beside": [
                f"{row.peer}: {number(row.theirs)} {row.unit}" if row.peer else "" for row in found.itertuples()
            ],
            "ratio": ["" if pd.isna(r) else f"{r:.3f}" for r in found["ratio"]],
            "spread": [
                "" if pd.isna(x) else f"{x:.3f}–{y:.3f}" for x, y in zip(found["low"], found["high"], strict=True)
            ],
            "bar": ["" if pd.isna(b) else f"{b:.2f}" for b in found["bar"]],
            "": found["verdict"],
        }
    )
    return shown.to_string(index=False, justify="left", formatters={c: _left(shown[c]) for c in shown})


def _left(column: pd.Series):
    width = max(len(str(column.name)), *column.str.len())
    return lambda text: text.ljust(width)


def markdown(found: pd.DataFrame) -> str:
    """Return the lines with a bar, one for each, as a table in Markdown; of rows of growth only the largest work."""
    barred = found[found["verdict"] != ""]
    barred = barred.loc[barred.groupby(["item", "case", "peer"], sort=False)["work"].idxmax()]
    lines = ["| what | beside | ratio | bar |", "|---|---|---|---|"]
    for row in barred.itertuples():
        work = f"{row.work:,.0f} {row.of}"
        spread = f"{row.ratio:.2f} ({row.low:.2f}–{row.high:.2f})"
        held = "" if row.verdict == "held" else ", missed"
        lines.append(f"| {row.item}: {row.case}, {work} | {row.peer} | {spread} | {row.bar:.2f}{held} |")
    return "\n".join(lines)


def read(table: Path) -> pd.DataFrame:
    """Read the lines that were measured last, without those of items that there are no more."""
    found = pd.read_csv(table).fillna({"verdict": "", "peer": ""})
    return found[found["name"].isin(ITEMS)]


def main() -> None:
    """Measure the items, each in a process of its own; print the table and write the files."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", metavar="ITEM", help=f"of {', '.join(ITEMS)}; default: all")
    parser.add_argument("--data", default="", help="data folder; default: the quick phantom")
    parser.add_argument("--markdown", action="store_true", help="only print the last run's lines with a bar")
    parser.add_argument("--rows", help=argparse.SUPPRESS)  # measure one item here and print its rows as JSON
    parser.add_argument("--cpu", action="store_true", help="steps and inference in CPU seconds, for a busy machine")
    given = parser.parse_args()
    if given.cpu:
        os.environ[CPU] = "1"  # the processes of the contenders inherit it
    if given.rows:
        print(json.dumps([as_dict(row) for row in rows_of(given.rows, given.data)]))
        return
    table = paths.results_root() / "bench" / "bench.csv"
    if given.markdown:
        if not table.is_file():
            parser.error(f"there is no {paths.shown(table)} yet; `make bench` measures and writes it")
        print(markdown(read(table)))
        return
    unknown = [item for item in given.items if item not in ITEMS]
    if unknown:
        parser.error(f"no item {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    folder, begun = str(open_cohort(given.data, "quick").root), time.monotonic()
    kept = read(table) if given.items and table.is_file() else pd.DataFrame()
    for item in given.items or ITEMS:
        start = time.monotonic()
        said = alone("tests.bench", "--rows", item, "--data", folder)
        found = pd.DataFrame(json.loads(said.splitlines()[-1])).assign(name=item)
        print(f"{item}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        kept = pd.concat([kept[kept["name"] != item], found], ignore_index=True) if len(kept) else found
        files.write_table(table, kept)  # what is measured stays, whatever comes next
    kept = kept.sort_values("name", key=lambda names: names.map(ITEMS.index), kind="stable")
    kept = kept.sort_values("item", key=lambda items: items.map(list(dict.fromkeys(items)).index), kind="stable")
    kept = kept.fillna({"verdict": "", "peer": ""}).reset_index(drop=True)
    from tests.bench.figure import draw

    draw(kept, table.with_suffix(".png"))
    print(f"{progress.cores()} cores; medians over rounds in turn; a ratio is ours to the other's, below 1 is faster\n")
    print(table_of(kept))
    print(f"\n{paths.shown(table)} and {table.with_suffix('.png').name}; {(time.monotonic() - begun) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
