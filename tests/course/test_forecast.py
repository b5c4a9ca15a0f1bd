"""What is left of the whole course, told while one of its notebooks runs."""

from pathlib import Path

import nbformat

from stroke_utils.course import forecast
from stroke_utils.course.forecast import Job
from stroke_utils.course.plan import make_plan
from stroke_utils.results import studies

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def executed(path, seconds):
    page = nbformat.v4.new_notebook(metadata={"papermill": {"duration": seconds}})
    nbformat.write(page, path)
    return path


def test_the_forecast_is_scaled_by_what_the_finished_ones_took(tmp_path):
    jobs = [Job(tmp_path / name, minutes) for name, minutes in (("a", 2.0), ("b", 10.0), ("c", 4.0))]
    assert forecast.left(jobs, True, tmp_path / "a", 30) == "0 of 3 notebooks done, about 16 min left"
    executed(tmp_path / "a", 240)  # twice as long as stated
    assert forecast.left(jobs, True, tmp_path / "b", 600) == "1 of 3 notebooks done, about 18 min left"
    assert forecast.left(jobs, True, tmp_path / "b", 9999) == "1 of 3 notebooks done, about 8 min left"
    executed(tmp_path / "b", 1200)
    assert forecast.left(jobs, True, tmp_path / "c", 480) == "2 of 3 notebooks done, about 1 min left"


def test_nothing_is_forecast_from_the_minutes_of_another_profile(tmp_path):
    jobs = [Job(tmp_path / "a", 0.5), Job(tmp_path / "b", 10.0)]
    assert forecast.left(jobs, False, tmp_path / "a", 30) == "0 of 2 notebooks done"
    executed(tmp_path / "a", 300)  # ten times what quick takes
    assert forecast.left(jobs, False, tmp_path / "b", 0) == "1 of 2 notebooks done, about 100 min left"


def test_an_output_that_is_being_made_again_is_not_done(tmp_path):
    jobs = [Job(executed(tmp_path / "a", 60), 1.0), Job(tmp_path / "b", 3.0)]
    assert forecast.left(jobs, True, tmp_path / "a", 0) == "0 of 2 notebooks done, about 4 min left"


def told(plan):
    return forecast.read_jobs(forecast.write_jobs(plan, NOTEBOOKS))[0]


def test_jobs_are_all_notebooks_of_a_plan_with_the_minutes_they_state(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    plan = make_plan("quick", seeds="0,1")
    jobs, stated = forecast.read_jobs(forecast.write_jobs(plan, NOTEBOOKS))
    assert stated and {job.output for job in jobs} == {Path(o) for n in plan.notebooks for o in plan.outputs(n)}
    minutes = {job.output.name.split("-")[0]: job.minutes for job in jobs}
    assert minutes["03_phase1_detection"] > minutes["05_segmentation"] > minutes["04_phase2_classification"] > 1
    assert minutes["06_results_figures"] == forecast.SHORT
    assert len(jobs) == len(plan.notebooks) + 3
    plan = make_plan("quick", beyond=True)
    numbers = {job.output.name[:2] for job in told(plan)}
    assert {"03", "08", "09"} <= numbers and not numbers & {"00", "06", "07"}, "what it will not run is not counted"
    single = minutes["05_segmentation"] / 2  # a way trains one network, the notebook two
    recipes = [job.minutes for job in told(make_plan(study="recipes")) if job.output.name.startswith("05")]
    assert recipes == [single] * 3 * len(studies.WAYS)
    detection = {job.minutes for job in told(make_plan(split="models")) if job.output.name.startswith("03")}
    assert detection == {minutes["03_phase1_detection"] / len(plan.values("03_phase1_detection")["models"])}
    found = [
        forecast.STATED.search(f"| time | {words} on 2 cores; less on a GPU |") for words in ("1 minute", "3–5 minutes")
    ]
    assert [match.groups() for match in found] == [("1", None), ("3", "5")]
