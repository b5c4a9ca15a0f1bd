"""One figure of the benchmarks: how each cost grows with the work."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import ticker

from stroke_utils.figures.style import use_style

COLUMNS = 4


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw a panel for each item: what it costs by how much work it is, ours in colour and full, others broken.

    Args:
        found: the table of :mod:`tests.bench.measure`'s rows.
        path: a PNG file.
    """
    use_style()
    items = list(dict.fromkeys(found["item"]))
    height = -(-len(items) // COLUMNS)
    figure, axes = plt.subplots(height, COLUMNS, figsize=(4.3 * COLUMNS, 3.6 * height), squeeze=False)
    for axis in axes.flat[len(items) :]:
        axis.set_visible(False)
    for axis, item in zip(axes.flat, items, strict=False):
        _panel(axis, found[found["item"] == item], item)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def _panel(axis: plt.Axes, rows: pd.DataFrame, item: str) -> None:
    beside = rows["peer"].str.split(" of ").str[0]
    if item == "memory":  # beside it stands the least folder, which is in the picture already
        beside[:] = ""
    markers = dict(zip(dict.fromkeys(name for name in beside if name), "sv^", strict=False))
    for k, (case, of_case) in enumerate(rows.groupby("case", sort=False)):
        ours = of_case.drop_duplicates("work")
        axis.plot(ours["work"], ours["ours"], "o-", color=f"C{k}", label=case)
        for name, marker in markers.items():
            theirs = of_case[beside[of_case.index] == name]
            axis.plot(theirs["work"], theirs["theirs"], f"{marker}--", color=f"C{k}", alpha=0.7, markersize=4)
    for name, marker in markers.items():
        axis.plot([], [], f"{marker}--", color="0.4", markersize=4, label=name)
    axis.set(xscale="log", title=item, xlabel=rows["of"].iloc[0], ylabel=rows["unit"].iloc[0])
    if item == "memory":
        axis.set_ylim(0, 1.1 * rows["ours"].max())
    else:
        axis.set_yscale("log")
        axis.margins(y=0.15)
    ticks = sorted(set(rows["work"]))
    if len(ticks) <= 4:
        axis.set_xticks(ticks, [f"{tick:,.3g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks])
        axis.xaxis.set_minor_locator(ticker.NullLocator())
    plain = ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:.3g}")
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_formatter(ticker.NullFormatter())
    if item != "memory" and _decades(axis) < 1.2:  # hardly a power of ten inside
        axis.yaxis.set_minor_formatter(plain)
        axis.yaxis.set_minor_locator(ticker.LogLocator(subs=(2, 5)))
    axis.legend(fontsize=7, frameon=False)


def _decades(axis: plt.Axes) -> float:
    low, high = axis.get_ylim()
    return math.log10(high / low)
