"""Model cards, a data sheet and a reporting checklist, written from run records and parameters files alone.

Model cards after Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019. The checklist follows the subjects of
CLAIM in words of its own (Mongan et al., doi 10.1148/ryai.2020200029; Tejani et al., doi 10.1148/ryai.240300).
"""

from pathlib import Path

import pandas as pd

from stroke_utils.base import files, paths, templates
from stroke_utils.base.vocabulary import model_title
from stroke_utils.data import DataSet
from stroke_utils.results import ledger, outputs, provenance, runs, select, tables

TEMPLATES = Path(__file__).resolve().parent / "templates"
TASKS = {notebook: task.title for notebook, task in runs.TASKS.items()}
"""What the networks of each training notebook do."""


def chosen(profile: str) -> list[dict]:
    """Return the records that the cards speak of, oldest first: of the cohort and the settings trained with last."""
    records, _ = runs.read_records(profile)
    trained = [record for record in records if record["notebook"] in TASKS]
    if not trained:
        return [record for record in records if record["cohort"]["slices"]][-1:]  # 07 works on no slices
    last = trained[-1]["cohort"]
    kept, _ = select.comparable_records(records, DataSet(last["fingerprint"], last["origin"]))
    return kept


def facts(profile: str) -> dict:
    """Return what the first page of the book says of a profile's runs: ``phantom`` and ``about``, texts by name."""
    records = chosen(profile)
    if not records:
        return {"phantom": False, "about": {"Runs": "no run record was found."}}
    last, trained = records[-1], [r for r in records if r["notebook"] in TASKS]
    seeds = sorted({record["seed"] for record in trained})
    commits = sorted({provenance.short_commit(record) for record in records})
    about = {
        "Data": f"{last['cohort']['origin'].get('name', 'a data set of your own')}, {last['cohort']['slices']} slices, "
        f"fingerprint `{last['cohort']['fingerprint']}`",
        "Seeds": ", ".join(map(str, seeds)) or "none trained yet",
        "Code": f"commit {', '.join(commits)} (+ means: with changes of one's own)",
        "Software": ", ".join(f"{name} {version}" for name, version in last["versions"].items()),
    }
    return {"phantom": bool(last["cohort"]["origin"].get("phantom")), "about": about}


def over_seeds(scores: pd.DataFrame) -> list[dict]:
    """Return one row per part and metric of one model's scores: the middle seed's with its interval, and the spread."""
    rows = []
    for _, found in scores.groupby(["part", "metric"], sort=False):
        row = {name: value for name, value in runs.middle_seed(found).items() if pd.notna(value)}
        spread = f"{row['lowest']:.3f} to {row['highest']:.3f}" if row["seeds"] > 1 else "one seed"
        interval = f"{row['low']:.3f}–{row['high']:.3f} ({row['unit']})" if {"low", "high"} <= set(row) else "none"
        beside = {"baselines": tables.baseline_words(pd.Series(row), 3), "interval": interval, "spread": spread}
        rows.append(row | beside)
    return rows


def write(profile: str) -> list[Path]:
    """Write all cards of a profile to ``results/<profile>/cards`` and remove those of earlier runs.

    Returns:
        Paths in reading order: model cards, data sheet, checklist. Without a training run there are none.
    """
    folder, records = paths.results_root() / profile / "cards", chosen(profile)
    pages = model_cards(records)
    if pages:
        pages |= {"data-sheet": data_sheet(records), "checklist": checklist(records, list(pages))}
    for old in set(folder.glob("*.md")) - {folder / f"{stem}.md" for stem in pages}:
        old.unlink()
    return [files.write_text(folder / f"{stem}.md", text) for stem, text in pages.items()]


def _render(template: str, **context) -> str:
    return templates.render(TEMPLATES / template, commit=provenance.short_commit, **context)


def model_cards(records: list[dict]) -> dict[str, str]:
    """Return a card in Markdown for each model that was trained, by the stem of its file."""
    scores, pages = select.latest(runs.scores(records)), {}
    for notebook, task in TASKS.items():
        own = [record for record in records if record["notebook"] == notebook]
        for model in dict.fromkeys(name for record in own for name in record["parameters"].get("models", [])):
            rows = scores[(scores["notebook"] == notebook) & (scores["model"] == model)]
            made = [record for record in own if record["run_id"] in set(rows["run_id"])]
            if made:
                settings = ledger.ledger(notebook, made[-1]["parameters"])
                settings = ledger.recipe(settings).to_dict("records")
                what = {"model": model, "task": task, "notebook": notebook, "runs": made, "last": made[-1]}
                how = made[-1].get("conventions") or runs.score_definitions(made[-1]["metrics"])
                found = {"scores": over_seeds(rows), "extras": extras(made[-1], model), "conventions": how}
                found |= {"settings": settings, "title": model_title(model, runs.TASKS[notebook].table)}
                pages[f"card-{notebook[:2]}-{model}"] = _render("model_card.md.j2", **what, **found)
    return pages


def checklist(records: list[dict], cards: list[str]) -> str:
    """Return the filled checklist in Markdown; ``cards`` are the stems of the model cards it links to."""
    trained = [record for record in records if record["notebook"] in TASKS]
    units = sorted(set(runs.scores(trained)["unit"].dropna()))
    phantom = trained[-1]["cohort"]["origin"].get("phantom")
    return _render("checklist.md.j2", last=trained[-1], runs=trained, units=units, phantom=phantom, cards=cards)


def extras(record: dict, model: str) -> dict[str, float]:
    """Return the numbers a record holds of a model that are no scores, such as its threshold."""
    own = record["metrics"].get(model, {})
    return {name: round(value, 4) for name, value in own.items() if isinstance(value, int | float)}


def data_sheet(records: list[dict]) -> str:
    """Return the data sheet that ``01_exploration`` wrote of the records' cohort, or what is known without it."""
    last = records[-1]
    for record in reversed(records):
        path = outputs.run_folder(record) / "data_sheet.md"
        if record["notebook"] == "01_exploration" and path.is_file():
            return path.read_text(encoding="utf-8")
    cohort = last["cohort"]
    return (
        f"# Data sheet: {cohort['origin'].get('name', 'a data set of your own')}\n\n"
        f"{cohort['slices']} slices, {cohort['problems']} problems, fingerprint `{cohort['fingerprint']}`. More is not "
        "known: [1 · Exploration](01_exploration.ipynb), which describes the data, has not run on them.\n"
    )
