"""A page on what was read: HTML that needs nothing else, and the same as PDF."""

import base64
import io
import os
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image

from stroke_utils.base import files
from stroke_utils.base.templates import render
from stroke_utils.base.vocabulary import TYPES
from stroke_utils.data import masks
from stroke_utils.figures.reading import report_page, save_pdf, with_outlines
from stroke_utils.reading.scan import MOST, NOT_LOOKED, Job, Scan, patients, volume, words
from stroke_utils.reading.strange import Refused

SHOWN = 12
"""Slices on the page."""

_TEMPLATE = Path(__file__).with_name("templates") / "report.html.j2"


def write(found: Scan, told: dict, out: str | os.PathLike) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.pdf``, each whole or not at all.

    Args:
        found: what was read.
        told: of `scan.read`.
        out: the folder that `scan.read` wrote to.

    Returns:
        The two paths.
    """
    out = Path(out)
    jobs = {(job.group, job.name): job for job in found.jobs}
    rows = [row for row in told["slices"] if not row["refused"]]
    shown = [(row, _shown(jobs[row["group"], row["name"]], out)) for row in rows[:SHOWN]]
    shown = [(row, picture) for row, picture in shown if picture is not None]
    pictures = [{"png": _encoded(picture), "alt": _alt(row), "caption": caption(row)} for row, picture in shown]
    html = render(
        _TEMPLATE,
        told=told,
        pictures=pictures,
        more=max(0, len(rows) - len(pictures)),
        most=MOST,
        refused=refusals(told),
        words=words,
        volume=volume,
        named=named,
        calibration=lambda task: calibration(told, task),
        distance=distance(told),
    )
    page, pdf = files.write_text(out / "report.html", html), out / "report.pdf"
    count = f"{told['answered']} slices answered, {sum(row['called'] for row in rows)} called a stroke."
    small = [told["rule"], "", *(_network(told, each) for each in told["networks"]), distance(told), ""]
    small += [f"Not answered: {each['kind']} {each['number']}: {each['first']}" for each in refusals(told)[:6]]
    (name,) = _wrapped([told["input"]], 999)
    figure = report_page(
        f"{name if len(name) <= 30 else f'…{name[-29:]}'}: what the networks say",
        f"{told['remark']}.",
        [*_cut(_wrapped(patients(told, 6), 86), 9), count],
        [picture for _, picture in shown],
        ["\n".join(_cut(_wrapped([caption(row)], 32), 5, "…")) for row, _ in shown],
        _cut(_wrapped(small, 135), 19),
    )
    save_pdf(figure, pdf)
    return page, pdf


def _wrapped(lines: list[str], width: int) -> list[str]:
    known = (
        line.encode(errors="backslashreplace").decode() for line in lines
    )  # a PDF takes no bytes of unknown letters
    return [part for line in known for part in (textwrap.wrap(line, width) or [""])]


def _cut(lines: list[str], most: int, instead: str = "More stands in report.html.") -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], instead]


def _shown(job: Job, out: Path) -> np.ndarray | None:
    """Return a slice with its outlines; None where it can no longer be read."""
    try:
        return with_outlines(job.grey(), masks.read_class_mask(job.mask_in(out)))
    except (OSError, Refused):
        return None


def _encoded(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def caption(row: dict) -> str:
    """Say a slice's answer: file, probabilities, areas."""
    said = [Path(row["file"]).name, f"stroke {row['stroke']:.2f}"]
    if row["position_mm"] is not None:
        said[0] += f" at {row['position_mm']:.1f} mm"
    if row["called"]:
        sure = row["hemorrhage"] if row["type"] == "hemorrhage" else 1 - row["hemorrhage"]
        said.append(f"type {row['type']} ({sure:.2f})")
        for name in TYPES:
            if number := row["area_px"][name]:
                square = f" = {row['area_mm2'][name]:.0f} mm²" if row["area_mm2"] else ""
                said.append(f"{name} {number} px{square}")
    if row["turned"]:
        said.append(f"turned by {row['turned']}°")
    return "; ".join(said)


def _alt(row: dict) -> str:
    return f"CT slice {Path(row['file']).name}, {'called a stroke, outlined' if row['called'] else 'no stroke called'}"


def calibration(told: dict, task: str) -> str:
    """Say how far a task's probabilities come true."""
    found = told["calibration"].get(task)
    if found is None:
        return f"gives regions, no probability; {mask_steps(told.get('masks') or {})}"
    if found["ece"] is None:
        return "not known"
    return (
        f"temperature {found['temperature']:.2f}; after it they are {found['ece']:.3f} off on average (ECE, "
        f"{found['slices']} slices of {found['part']})"
    )


def mask_steps(options: dict) -> str:
    """Say how probabilities become regions, by the fields of `learn.predict.MaskOptions`."""
    said = [
        "mean with the answer to the mirror image" if options.get("flip") else "",
        f"regions under {options['smallest']} px left out" if options.get("smallest") else "",
        "one type a slice, that of most pixels" if options.get("vote") else "",
    ]
    return "; ".join(filter(None, said)) or "the most probable class of each pixel"


def distance(told: dict) -> str:
    """Say how unusual slices are found."""
    if told["unusual_from"] is None:
        return NOT_LOOKED
    return (
        f"A slice is refused as unusual from a distance of {told['unusual_from']:.1f}, which 95 % of the validation "
        "slices stay below."
    )


def named(each: dict) -> str:
    """Name a network that answered, and what its training started from: that may be drawn heads."""
    starts = {
        "": "",
        "random": ", begun with random weights",
        "phantom": ", begun with what it learned from drawn heads",
    }
    start = each.get("start", "")
    return each["network"] + starts.get(start, f", begun with weights of {start}")


def _network(told: dict, each: dict) -> str:
    about = f"{each['task']}: {named(each)}, run {each['run']}, weights {each['weights_sha256'][:16]}"
    return f"{about}; {calibration(told, each['task'])}."


def refusals(told: dict) -> list[dict]:
    """Count what was not answered by kind, with the first reason of each."""
    found: dict[str, dict] = {}
    for row in told["slices"]:
        if row["refused"]:
            _count(found, f"refused: {row['refused']['kind']}", f"{row['file']}: {row['refused']['reason']}")
    for each in told["aside"]:
        _count(found, f"set aside: {each['kind']}", each["reason"])
    return list(found.values())


def _count(found: dict, kind: str, first: str) -> None:
    found.setdefault(kind, {"kind": kind, "number": 0, "first": first})["number"] += 1
