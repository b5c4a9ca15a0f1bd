"""Execute the committed notebooks in place, renew ``figures/`` and the README's scores: ``stroke-regions refresh``.

The only part of the project that writes what git tracks. Notebooks run with their stored defaults, and their runs go
to a folder of their own, so that nothing a person computed earlier shows up in the committed outputs.
"""

import base64
import io
import os
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from stroke_utils.base import errors, files, paths
from stroke_utils.course import cards
from stroke_utils.course.headless import Watch
from stroke_utils.course.notebook_files import OwnKernelManager, read_notebook
from stroke_utils.results import runs, select, tables

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
"""Metadata of every committed notebook: what JupyterLab needs, nothing that differs between two machines."""

_DICE = "mean lesion Dice per slice"
README_SCORES = (
    ("03_phase1_detection", "session1", "auc", "session 1, {n} slices", "AUC"),
    ("03_phase1_detection", "session1_at_half", "macro_f1", "session 1, {n} slices", "macro F1, threshold 0.5"),
    ("03_phase1_detection", "session1", "macro_f1", "session 1, {n} slices", "macro F1, threshold by the paper's rule"),
    ("04_phase2_classification", "session2", "macro_f1", "session 2, {n} slices", "macro F1"),
    ("05_segmentation", "session2", "lesion_dice", "session 2, {n} slices", _DICE),
    ("05_segmentation", "session2", "hemorrhage_dice", "session 2, {n} hemorrhages", _DICE),
    ("05_segmentation", "session2", "ischemia_dice", "session 2, {n} ischemias", _DICE),
)
"""The scores that the README shows: notebook, part and metric of the record, then two cells in words."""

MARKS = "<!-- scores: written by make refresh from figures/scores.csv -->", "<!-- end of scores -->"
"""The marks before and after the table in the README."""


def small_png(data: bytes) -> bytes:
    """Return a PNG in a palette of 256 colours where that is smaller, else optimised losslessly.

    Where it has more colours than that, greys stay grey, within 2 of 255 levels. Pillow's "maximum coverage" keeps rare
    colours, such as thin lesion borders, within some 15.
    """
    image = Image.open(io.BytesIO(data))
    candidates = [data]
    for version in (image, _in_palette(image.convert("RGB"))):
        stream = io.BytesIO()
        version.save(stream, "PNG", optimize=True)
        candidates.append(stream.getvalue())
    return min(candidates, key=len)


def _in_palette(image: Image.Image) -> Image.Image:
    """Return an RGB image with a palette of its own; a common choice of all colours would tint the greys of a scan."""
    rgb = np.asarray(image)
    grey, step = (rgb == rgb[..., :1]).all(axis=-1), 1 if image.getcolors(256) else 5  # black and white are multiples
    levels = np.round(rgb[..., 0] / step).astype(np.uint8) * np.uint8(step)
    greys = np.unique(levels[grey])
    places, palette = np.searchsorted(greys, levels).astype(np.uint8), np.repeat(greys, 3).tolist()
    if not grey.all():
        few = Image.fromarray(rgb[~grey][None])
        few = few.quantize(256 - len(greys), Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        places[~grey] = np.asarray(few)[0] + np.uint8(len(greys))
        palette += few.getpalette()
    made = Image.fromarray(places)
    made.putpalette(palette)
    return made


def clean(notebook: nbformat.NotebookNode) -> list[str]:
    """Leave in an executed notebook only what is the same on every machine; return what was taken out, in words."""
    dropped = []
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE})
    for cell in notebook.cells:
        for key in ("execution", "papermill", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        noise = [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
        dropped += [f"stderr of In[{cell.execution_count}]: {o.text.strip().splitlines()[-1][:100]}" for o in noise]
        cell.outputs = [output for output in cell.outputs if output not in noise]
        for data in (o.data for o in cell.outputs if o.output_type in ("display_data", "execute_result")):
            if "image/png" in data:
                data["image/png"] = base64.b64encode(small_png(base64.b64decode(data["image/png"]))).decode() + "\n"
    return dropped


def execute(path: Path) -> list[str]:
    """Execute one notebook in place, whole or not at all; return what was taken out of its outputs.

    Raises:
        UserError: a cell failed; the notebook is left as it was.
    """
    notebook = read_notebook(path)
    with Watch(path.stem) as watch:
        client = NotebookClient(
            notebook,
            kernel_manager_class=OwnKernelManager,
            resources={"metadata": {"path": str(path.parent)}},
            timeout=None,
            record_timing=False,
            on_notebook_start=watch.notebook_started,
            on_cell_execute=watch.cell_started,
        )
        try:
            client.execute()
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue}"
            raise errors.UserError(f"{path.name} failed in {watch.where()}; it is unchanged.\n  {reason}") from error
    dropped = clean(notebook)
    files.write_text(path, nbformat.writes(notebook) + "\n")
    return dropped


def copy_figures(results: Path, figures: Path) -> list[Path]:
    """Copy the PNG and CSV files of the latest run of the last notebook to ``figures``; return the new files."""
    runs = sorted(results.glob("quick/06_results_figures/*/record.json"), key=lambda path: path.stat().st_mtime)
    if not runs:
        return []
    found = [path for kind in ("figures/*.png", "*/*.csv") for path in runs[-1].parent.glob(kind)]
    figures.mkdir(exist_ok=True)
    kept = {figures / path.name for path in found} | {figures / "scores.csv"}
    for old in {*figures.glob("*.png"), *figures.glob("*.csv")} - kept:
        old.unlink()
    for path in found:
        data = path.read_bytes()
        with files.atomic_path(figures / path.name) as temporary:
            temporary.write_bytes(small_png(data) if path.suffix == ".png" else data)
    return sorted(figures / path.name for path in found)


def chosen_scores(records: list[dict]) -> pd.DataFrame:
    """Return the scores that the README shows, one row a model and score, with the model's name in the paper."""
    scores = select.latest(runs.scores(records))
    table = pd.concat([_of(scores, *where) for *where, _, _ in README_SCORES]).drop(columns="run_id")
    table.insert(0, "name", tables.titled(table)["model"])
    return table.round(6)  # what rounds to two digits must not be rounded before


def _of(scores: pd.DataFrame, notebook: str, part: str, metric: str) -> pd.DataFrame:
    return scores.query(f"notebook == {notebook!r} and part == {part!r} and metric == {metric!r}")


def readme_table(scores: pd.DataFrame) -> str:
    """Return the README's table of scores in Markdown.

    Args:
        scores: of :func:`chosen_scores`, or read from ``figures/scores.csv``.
    """
    lines = [
        "| task | model | start | tested on | score | here | trivial baseline |",
        "|---|---|---|---|---|---:|---:|",
    ]
    for *where, tested, words in README_SCORES:
        task = cards.TASKS[where[0]].removesuffix(" classification")
        for row in _of(scores, *where).to_dict("records"):
            cells = task, row["name"], row["start"], tested.format(n=int(row["n"])), words, tables.shown_score(row)
            lines.append(f"| {' | '.join(cells)} | {row['baseline']:.2f} |")
    return "\n".join(lines)


def with_table(readme: str, table: str) -> str:
    """Return the README's text with ``table`` between its two marks.

    Raises:
        UserError: the marks are not there.
    """
    before, first, rest = readme.partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not (first and last):
        raise errors.UserError(f"README.md must hold the lines {MARKS[0]!r} and {MARKS[1]!r}. Restore them from git.")
    return f"{before}{first}\n\n{table}\n\n{last}{after}"


def renew_readme(home: Path) -> None:
    """Write the scores of the refreshed runs to ``figures/scores.csv`` and into the README's table."""
    records = cards.chosen("quick")
    if lacking := cards.TASKS.keys() - {record["notebook"] for record in records}:
        print(f"figures/scores.csv and the README's table stay: no refreshed run of {', '.join(sorted(lacking))}.")
        return
    scores = chosen_scores(records)
    files.write_table(home / "figures" / "scores.csv", scores)
    readme = (home / "README.md").read_text(encoding="utf-8")
    files.write_text(home / "README.md", with_table(readme, readme_table(scores)))


def renew(names: list[str]) -> bool:
    """Refresh the notebooks of these stems, or all where there are none; tell whether every one succeeded.

    What earlier refreshed runs left is used where only some are named, and removed first where all are.

    Raises:
        UserError: no such notebook; nothing is executed.
    """
    home = paths.home()
    notebooks = sorted((home / "notebooks").glob("*.ipynb"))
    known = [path.stem for path in notebooks]
    if unknown := sorted(set(names) - set(known)):
        raise errors.UserError(f"No such notebook: {', '.join(unknown)}. There are {', '.join(known)}.")
    scratch = home / "results" / "refresh"
    if not names:
        shutil.rmtree(scratch, ignore_errors=True)
    os.environ.update(STROKE_RESULTS=str(scratch / "results"), STROKE_DERIVED=str(scratch / "derived"))
    os.environ.pop("STROKE_DATA", None)
    try:
        with files.lock(home / "results" / "refresh", "the committed notebooks anew"):
            for path in notebooks:
                if not names or path.stem in names:
                    for line in execute(path):
                        print(f"{path.stem}: left out {line}")
            for path in copy_figures(scratch / "results", home / "figures"):
                print(f"{path.relative_to(home)}: {path.stat().st_size / 1024:.0f} KiB")
            renew_readme(home)
    except errors.UserError as error:
        print(error, file=sys.stderr)
        return False
    return True
