"""The README shows what was measured last: its table, its pictures and figures/ agree with the stored outputs."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.base import errors
from stroke_utils.course import cards, notebook_files, refresh
from stroke_utils.results import tables

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCORES = pd.read_csv(ROOT / "figures" / "scores.csv")
RESULTS = pd.read_csv(ROOT / "figures" / "results.csv")
LAST, DICE = "06_results_figures", "mean lesion Dice per slice"


def outputs(stem):
    """What the cells of a committed notebook show: all text, and all pictures."""
    cells = [c for c in notebook_files.read_notebook(ROOT / "notebooks" / f"{stem}.ipynb").cells if "outputs" in c]
    data = [{"text": o.get("text", "")} | o.get("data", {}) for cell in cells for o in cell.outputs]
    text = "\n".join(value for found in data for kind, value in found.items() if not kind.startswith("image/"))
    pictures = [base64.b64decode(found["image/png"]) for found in data if "image/png" in found]
    return text, [Image.open(io.BytesIO(picture)) for picture in pictures]


# Each gives what is stale, in words; none is good.


def stale_table(readme, scores):
    """README against figures/scores.csv."""
    if refresh.with_table(readme, refresh.readme_table(scores)) != readme:
        yield "the README's table is not that of figures/scores.csv"


def stale_scores(scores, shown):
    """figures/scores.csv against the stored outputs of the notebooks that trained."""
    for row in scores.to_dict("records"):
        if tables.shown_score(row) not in shown[row["notebook"]]:
            yield f"{row['notebook']} does not show {row['model']} {row['metric']} {tables.shown_score(row)}"


def stale_results(results, shown):
    """figures/results.csv, four digits, against the two digits in the stored outputs of notebook 06."""
    numbers = [tuple(map(float, found)) for found in re.findall(r"(\d\.\d\d) \((\d\.\d\d)–(\d\.\d\d)\)", shown)]
    alone = [(float(found),) for found in re.findall(r"(?<![\d.])\d\.\d\d(?!\d)", shown)]
    for row in results.dropna(subset="ours").itertuples():
        own = (row.ours,) if np.isnan(row.low) else (row.ours, row.low, row.high)
        if not any(np.allclose(own, found, rtol=0, atol=0.0051) for found in (numbers if len(own) == 3 else alone)):
            yield f"06 does not show {row.model} {own}"


def stale_sum(scores, results):
    """figures/scores.csv against figures/results.csv, where both have a score."""
    keys = ["notebook", "model", "part", "metric", "seed"]
    both = results.dropna(subset="ours").merge(scores, on=keys) if set(keys) <= set(results.columns) else pd.DataFrame()
    if both.empty or not np.allclose(both["ours"], both["value"], rtol=0, atol=6e-5):
        yield "figures/results.csv and figures/scores.csv are of different runs"


def stale_pictures(readme, folder, stored):
    """The README's pictures against the stored pictures of notebook 06: the same size and the same to the eye."""
    for name in re.findall(r"!\[[^\]]+\]\(figures/([^)]+)\)", readme):
        image = Image.open(folder / name).convert("L")
        alike = [p.convert("L").resize(SMALL) for p in stored if abs(p.width - image.width) <= 4]
        image = image.resize(SMALL)  # what is laid out anew when it is saved may lie some pixels off
        off = [np.abs(np.asarray(p, float) - np.asarray(image, float)).mean() for p in alike]
        if not off or min(off) > 8:
            yield f"figures/{name} is none of the pictures in 06 (off by {min(off, default=255):.1f} grey levels)"


SMALL = (120, 80)
"""Size at which pictures are compared, in pixels."""

SHOWN = {stem: outputs(stem)[0] for stem in cards.TASKS}
SUMMARY, STORED = outputs(LAST)


def test_the_readmes_table_is_the_measured_one():
    assert list(stale_table(README, SCORES)) == []
    digits = README.replace("0.93 (0.85", "0.94 (0.85").replace("| 0.50 |", "| 0.51 |")
    assert digits != README and list(stale_table(digits, SCORES))


def test_figures_are_as_new_as_the_stored_outputs():
    assert len(SCORES) >= 8 and list(stale_scores(SCORES, SHOWN)) == []
    assert RESULTS["ours"].notna().sum() >= 8 and list(stale_results(RESULTS, SUMMARY)) == []
    assert list(stale_sum(SCORES, RESULTS)) == []


def test_the_readmes_pictures_are_those_of_the_last_notebook():
    assert list(stale_pictures(README, ROOT / "figures", STORED)) == []
    assert README.count("](figures/") >= 3


def test_stale_numbers_and_pictures_are_seen(tmp_path):
    older = SCORES.assign(value=SCORES["value"] - 0.2)
    assert len(list(stale_scores(older, SHOWN))) == len(SCORES) and list(stale_sum(older, RESULTS))
    assert list(stale_results(RESULTS.assign(ours=RESULTS["ours"] - 0.2), SUMMARY))
    assert list(stale_sum(SCORES.assign(seed=7), RESULTS))
    for path in (ROOT / "figures").glob("*.png"):
        image = Image.open(path).convert("L")
        image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / path.name)
    assert len(list(stale_pictures(README, tmp_path, STORED))) == README.count("](figures/")


def record(notebook, model, part, **metrics):
    score = {"low": 0.7, "high": 0.9, "n": 50, "baseline": 0.3333, "unit": "patients"}
    metrics = {name: score | {"value": value} for name, value in metrics.items()}
    about = {
        "notebook": notebook,
        "run_id": model,
        "seed": 0,
        "starts": {model: "phantom" if "03" in notebook else "random"},
    }
    return about | {"metrics": {model: {part: metrics}}}


def test_the_table_is_made_from_records():
    records = [
        record("03_phase1_detection", "efficientnetv2b0", "session1", auc=0.84999, accuracy=0.1),
        record("05_segmentation", "resnet50", "session2", hemorrhage_dice=0.6),
        record("05_segmentation", "efficientnetb3", "session2", ischemia_dice=0.5),
        record("03_phase1_detection", "a_new_one", "session1", auc=0.6),
    ]
    lines, unets = refresh.readme_table(refresh.chosen_scores(records)).splitlines(), " | random"
    assert lines[2:] == [
        "| detection | EfficientNetV2B0 | phantom | session 1, 50 slices | AUC | 0.85 (0.70–0.90) | 0.33 |",
        "| detection | a_new_one | phantom | session 1, 50 slices | AUC | 0.60 (0.70–0.90) | 0.33 |",
        f"| segmentation | U-Net-ResNet50{unets} | session 2, 50 hemorrhages | {DICE} | 0.60 (0.70–0.90) | 0.33 |",
        f"| segmentation | U-Net-EfficientNetB3{unets} | session 2, 50 ischemias | {DICE} | 0.50 (0.70–0.90) | 0.33 |",
    ]


def test_naming_the_models_loads_no_tensorflow():
    scores = f"refresh.chosen_scores({[record('03_phase1_detection', 'cnn', 'session1', auc=0.9)]})"
    code = f"import sys; from stroke_utils.course import refresh; {scores}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_what_stands_between_the_marks_is_written():
    first, last = refresh.MARKS
    assert refresh.with_table(f"a\n{first}\nold\n{last}\nb", "new") == f"a\n{first}\n\nnew\n\n{last}\nb"
    with pytest.raises(errors.UserError, match="must hold the lines"):
        refresh.with_table(f"a\n{first}\nold", "new")


def test_nothing_is_written_while_a_trained_notebook_lacks_its_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cards, "chosen", lambda profile: [record("03_phase1_detection", "cnn", "session1", auc=0.9)])
    refresh.renew_readme(tmp_path)
    assert "no refreshed run of 04_phase2_classification, 05_segmentation" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
