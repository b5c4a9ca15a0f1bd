"""One figure of the benchmarks: how each cost grows with the work."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

from stroke_utils.figures.style import use_style

COLUMNS = 3


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw a panel for each item: what it costs by how much work it is, ours in colour and full, others broken.

    Args:
        found: the table of :mod:`tests.bench.measure`'s rows.
        path: a PNG file.
    """
    use_style()
    items = list(dict.fromkeys(found["item"]))
    height = -(-len(items) // COLUMNS)
    figure, axes = plt.subplots(height, COLUMNS, figsize=(4.6 * COLUMNS, 3.6 * height), squeeze=False)
    for axis in axes.flat[len(items) :]:
        axis.set_visible(False)
    for axis, item in zip(axes.flat, items, strict=False):
        _panel(axis, found[found["item"] == item], item)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def _panel(axis: plt.Axes, rows: pd.DataFrame, item: str) -> None:
    for k, (case, of_case) in enumerate(rows.groupby("case", sort=False)):
        colour = f"C{k}"
        ours = of_case.drop_duplicates("work")
        axis.plot(ours["work"], ours["ours"], "o-", color=colour, label=case)
        if item == "memory":  # its other column is the least folder's, which is in the picture already
            continue
        for marker, (_, of_peer) in zip(
            "sv^", of_case[of_case["peer"] != ""].groupby("peer", sort=False), strict=False
        ):
            axis.plot(of_peer["work"], of_peer["theirs"], f"{marker}--", color=colour, alpha=0.7, markersize=4)
    peers = [peer.split(" of ")[0] for peer in dict.fromkeys(rows["peer"]) if peer and item != "memory"]
    for marker, peer in zip("sv^", dict.fromkeys(peers), strict=False):
        axis.plot([], [], f"{marker}--", color="0.4", markersize=4, label=peer)
    axis.set(xscale="log", yscale="log", title=item, xlabel=rows["of"].iloc[0], ylabel=rows["unit"].iloc[0])
    ticks = sorted(set(rows["work"]))
    if len(ticks) <= 4:
        axis.set_xticks(ticks, [f"{tick:,.3g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks])
        axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axis.legend(fontsize=7, frameon=False)
