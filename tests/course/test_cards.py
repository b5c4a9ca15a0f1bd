"""Model cards, data sheet and checklist: all from records, and honest where a record does not tell."""

import json
import re

import pytest

from stroke_utils.course import cards

DETECTION = "03_phase1_detection"


def score(value, **more):
    return {
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "n": 200,
        "baseline": 0.394,
        "unit": "patients",
    } | more


def record(notebook=DETECTION, seed=0, fingerprint="aaaa", phantom=True, parts=None, **more):
    metrics = {"cnn": {"session1": {"macro_f1": score(0.8)}, "threshold": 0.2122} | (parts or {})}
    origin = {"name": "Phantom cohort", "phantom": True} if phantom else {}
    return {
        "schema": cards.runs.SCHEMA,
        "notebook": notebook,
        "run_id": f"cnn-seed{seed}-{fingerprint}",
        "profile": "quick",
        "seed": seed,
        "started": "2026-01-01T09:00:00+00:00",
        "finished": f"2026-01-01T10:0{seed}:00+00:00",
        "wall_s": 90.0,
        "peak_memory_mib": 1536,
        "parameters": {"models": ["cnn"], "seed": seed, "size": 96, "weights": "none", "validation": 0.2},
        "cohort": {"fingerprint": fingerprint, "origin": origin, "slices": 1200, "problems": 1},
        "inputs": {},
        "networks": {},
        "versions": {"python": "3.12.1", "keras": "3.15.1"},
        "hardware": {"machine": "x86_64", "system": "Linux", "cores": 2, "cpu": "Chip 9", "gpus": None},
        "git": {"commit": "0123456789" * 4, "dirty": True},
        "metrics": metrics | {"slices": {"train": 720, "test": 200}},
    } | more  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Give a function that stores records and returns the pages written from them, by stem."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))

    def pages(*records):
        for made in records:
            folder = tmp_path / "quick" / made["notebook"] / made["run_id"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "record.json").write_text(json.dumps(made))
        return {path.stem: path.read_text(encoding="utf-8") for path in cards.write("quick")}

    pages.folder = tmp_path / "quick"
    return pages


def test_without_a_training_run_there_are_no_cards_and_old_ones_go(results):
    assert results() == {}
    assert list(results(record())) == ["card-03-cnn", "data-sheet", "checklist"]
    (results.folder / DETECTION / "cnn-seed0-aaaa" / "record.json").unlink()
    assert results(record("01_exploration")) == {} and list((results.folder / "cards").iterdir()) == []


def test_a_card_says_what_the_record_says(results):
    made = record(parts={"validation": {"auc": score(0.917, n=180)}}, conventions={"auc": "no threshold"})
    card = results(made)["card-03-cnn"]
    assert card.startswith("# Model card: CNN, detection\n") and "- *auc:* no threshold" in card
    assert "| session1 | macro f1 | 0.800 | 0.700–0.900 (patients) | 200 | 0.394 | one seed |" in card
    assert "| validation | auc | 0.917 | 0.817–1.017 (patients) | 180 | 0.394 | one seed |" in card
    assert "**Threshold:** 0.2122" in card and "720 train, 200 test" in card and "fingerprint `aaaa`" in card
    assert "| 0 | `cnn-seed0-aaaa` | 2026-01-01 10:00 | 1.5 | 1.5 | 0123456+ |" in card and "keras 3.15.1" in card
    assert re.search(r"^\| size \| 96 \| 224 \| phase 1, data: 224×224 \|$", card, re.MULTILINE)
    assert "ran on Chip 9, 2 cores, x86_64, Linux, no GPU." in card
    assert "phantom" in card and "no score below is clinical" in card and "**not known**" in card


def test_of_two_classes_both_trivial_answers_stand_in_the_card(results):
    found = {"positive_recall": score(0.9, baseline=0.0, always=1.0, never=0.0)}
    card = results(record(parts={"session1": found}))["card-03-cnn"]
    assert "| 200 | 1.000 always, 0.000 never | one seed |" in card
    assert "that say stroke of each slice, or of none" in card and "**Network:** CNN at 96 pixels" in card


def test_real_data_are_no_phantom(results):
    pages = results(record(phantom=False))
    assert not any("drawn by a program" in page or "hantom" in page for page in pages.values())
    assert "no medical device" in pages["card-03-cnn"]
    assert "not applicable" not in "".join(re.findall(r"^\| (?:8|13|16|18|36) \|.*$", pages["checklist"], re.MULTILINE))


def test_several_seeds_are_a_spread_and_never_the_best(results):
    runs = [record(seed=k, parts={"session1": {"macro_f1": score(v)}}) for k, v in enumerate((0.9, 0.5, 0.7, 0.6))]
    card = results(*runs)["card-03-cnn"]
    assert "| 0.600 | 0.500–0.700 (patients) | 200 | 0.394 | 0.500 to 0.900 |" in card
    assert "written from 4 run records" in card.lower() and "middle of 4" in card


def test_what_a_record_lacks_is_said_to_be_lacking(results):
    poor = record(parts={"new part": {"soft_f1": {**score(0.64), "low": None, "high": None, "baseline": None}}})
    del poor["parameters"]["weights"], poor["metrics"]["slices"]
    del poor["hardware"]["cpu"]
    poor["git"] = {"commit": None, "dirty": None}
    card = results(poor)["card-03-cnn"]
    assert "| new part | soft f1 | 0.640 | none | 200 | not known | one seed |" in card
    assert "ran on 2 cores, x86_64, Linux, no GPU." in card and "- *macro:* plain mean over both classes." in card
    assert "training started from: not recorded" in card and "| unknown |" in card and "Used here" not in card


def test_another_cohorts_runs_are_left_out(results):
    older = record(fingerprint="bbbb", parts={"session1": {"macro_f1": score(0.111)}})
    pages = results(older, record(seed=1))
    assert "0.111" not in pages["card-03-cnn"] and "bbbb" not in "".join(pages.values())


def test_the_data_sheet_is_the_one_of_the_exploration(results):
    assert "has not run on them" in results(record())["data-sheet"]
    pages = results(record("01_exploration"))
    assert "has not run on them" in pages["data-sheet"]  # a record without its sheet
    (results.folder / "01_exploration" / "cnn-seed0-aaaa" / "data_sheet.md").write_text("# Data sheet: counted\n")
    assert results()["data-sheet"] == "# Data sheet: counted\n"


def test_every_subject_of_the_checklist_has_an_answer(results):
    segmentation = record("05_segmentation", parts={"session2": {"lesion_dice": score(0.6, unit="slices")}})
    for phantom in (True, False):
        first = record(phantom=phantom)
        text = results(first, segmentation | {"cohort": first["cohort"]})["checklist"]
        rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
        assert [int(number) for number, *_ in rows] == list(range(1, 45))
        answer = r"\*\*(yes|no|partly|not applicable|not known)(:\*\* \S|\*\*$)"
        assert [row for row in rows if not re.match(answer, row[2])] == []
        assert "[03-cnn](card-03-cnn.md), [05-cnn](card-05-cnn.md)" in text
        assert "patients or slices for independent; seeds 0" in text and "commit 0123456+" in text
        assert "03: 96, 05: 96" in text


def test_facts_for_the_first_page(results):
    tables = record("07_table_forensics", cohort={**record()["cohort"], "slices": 0})
    results(tables)  # which works on no slices, and so says nothing of the data
    assert "no run record" in cards.facts("quick")["about"]["Runs"]
    results(record(), record(seed=2), tables)
    facts = cards.facts("quick")
    assert facts["phantom"] and facts["about"]["Seeds"] == "0, 2" and "1200 slices" in facts["about"]["Data"]


def test_a_card_says_what_training_started_from_and_what_that_means(results):
    card = results(record(starts={"cnn": "phantom"}))["card-03-cnn"]
    assert "training started from: phantom (weights that come with the code" in card
    assert "training started from: random." in results(record(starts={"cnn": "random"}))["card-03-cnn"]
