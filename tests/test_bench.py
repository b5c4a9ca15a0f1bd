"""What ``make bench`` prints from the file that it leaves; what it measures is no test, because machines are noisy."""

import sys

import pandas as pd
import pytest

from stroke_utils.base import files, paths
from tests.bench import __main__ as bench
from tests.bench.measure import Row, as_dict, compared


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A file as a run leaves it: lines with a bar, with a peer alone and with neither, and one of a former item."""
    monkeypatch.setattr(paths, "results_root", lambda: tmp_path)
    found = {"ours": [2.0, 3.0, 4.0], "PyTorch": [4.0, 4.0, 4.0], "OpenVINO": [1.0, 1.0, 1.0]}
    lines = [
        *compared("step", "batch 2", 128, "px", "ms", found, 0.7),
        *compared("step", "batch 2", 512, "px", "ms", found, 0.9),
    ]
    lines += [Row("time at scale", "masks", 6951, "slices", "s", 9.0)]
    names = ["unet"] * 4 + ["scale"]
    rows = pd.DataFrame([as_dict(line) | {"name": name} for line, name in zip(lines, names, strict=True)])
    former = rows.head(1).assign(item="a former one", name="gone")
    return files.write_table(tmp_path / "bench" / "bench.csv", pd.concat([rows, former]))


def said(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    bench.main()
    return capsys.readouterr().out


def test_lines_with_a_bar_are_a_table_in_markdown(table, monkeypatch, capsys):
    assert said(monkeypatch, capsys, "--markdown").splitlines()[2:] == [
        "| step: batch 2, 512 px | PyTorch | 0.75 (0.50–1.00) | 0.90 |"
    ]


def test_the_printed_table_has_every_line_and_leaves_gaps(table):
    first, *lines = bench.table_of(bench.read(table)).splitlines()
    assert first.split() == ["item", "case", "work", "ours", "beside", "ratio", "spread", "bar"] and len(lines) == 5
    assert " ".join(lines[0].split()) == "step batch 2 128 px 3 ms PyTorch: 4 ms 0.750 0.500–1.000 0.70 MISSED"
    assert " ".join(lines[4].split()) == "time at scale masks 6,951 slices 9 s"


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "results_root", lambda: tmp_path)
    with pytest.raises(SystemExit):
        said(monkeypatch, capsys, "--markdown")
    assert "`make bench` measures and writes it" in capsys.readouterr().err
