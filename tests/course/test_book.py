"""The book of executed notebooks: whole in one file, linked inside, honest about what is missing."""

import base64
import io
import re
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from stroke_utils.base import errors
from stroke_utils.course import book, commands, notebook_files
from stroke_utils.course.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
new = nbformat.v4


def picture():
    stream = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 30, 30)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def code(source, *outputs, tags=(), hidden=False, output_hidden=False, **metadata):
    metadata |= {"tags": list(tags), "jupyter": {"source_hidden": hidden, "outputs_hidden": output_hidden}}
    return new.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def shown(**data):
    return new.new_output("display_data", data={kind.replace("_", "/"): value for kind, value in data.items()})


def printed(text):
    return new.new_output("stream", name="stdout", text=text)


def write(path, *cells):
    cells = [new.new_markdown_cell(c) if isinstance(c, str) else c for c in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new.new_notebook(cells=cells), path)
    return path


FIRST = (
    "# 1 · First\n\nOpens.\n\n1. [Training](#Training)\n2. [It's done](#It's-done?)\n\n"
    "Next: [Second](03_phase1_detection.ipynb), at once [its training](03_phase1_detection.ipynb#Training)",
    "## Training\n\nWater is H<sub>2</sub>O. Dice is $2b/(a+b)$ and $\\begin{x}$, [away](../README.md), "
    "[net](https://example.org/a).\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "## It's done?",
    "The **curve** of [this](#Training) model.",
    code("draw()", shown(image_png=picture()), shown(text_html="<table><tr><td>wide</td></tr></table>")),
    "**1.** How many?\n\n<details><summary>Answer</summary>\n\nIt is *more* than one.\n\n</details>",
    code("print('answer')", printed("forty-two"), tags=["solution"], hidden=True, output_hidden=True),
    code("secret = 1", printed("whispered"), hidden=True, output_hidden=True),
    code("plot()", shown(image_png=picture()), alt="A red box, 40 pixels wide"),
    code("show()", shown(text_markdown="# Sheet\n\n## Inside an output\n\n[x](glossary.md#Dice)")),
)
SECOND = ("# 3 · Second\n\nPrevious: [First](01_exploration.ipynb#Training)", "## Training", "## Training")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A checkout of two notebooks and a glossary, executed."""
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "out"))
    for stem, cells in (("01_exploration", FIRST), ("03_phase1_detection", SECOND)):
        write(tmp_path / "notebooks" / f"{stem}.ipynb", *cells, code("seed = 3  # of all", tags=["parameters"]))
        for profile in ("quick", "paper"):
            file = tmp_path / "params" / profile / f"{stem}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("seed: 3\n")
    (tmp_path / "notebooks" / "glossary.md").write_text("# Glossary\n\n### Dice\nBack to [1](01_exploration.ipynb).\n")
    for stem, cells in (("01_exploration", FIRST), ("03_phase1_detection", SECOND)):
        write(copy_of(stem), *cells)
    return tmp_path / "out" / "quick" / "executed"


def copy_of(stem, seed=3, folder=""):
    """Where the executed copy of a notebook lies."""
    return Path(Plan("quick", "", (seed,)).output(stem, seed, folder))


def bound(seeds=(3,)):
    path, remarks = book.bind(Plan("quick", "", seeds))
    return path.read_text(encoding="utf-8"), remarks


def test_the_book_is_one_file_without_a_fault(shelf):
    page, remarks = bound()
    assert remarks == [] == book.problems(page)
    assert page.startswith('<!doctype html>\n<html lang="en">') and "<title>Stroke Regions" in page
    assert '<meta name="viewport" content="width=device-width' in page
    assert picture() in page and "forty-two" in page and "no run record was found" in page
    assert not list(shelf.parent.glob(".book*"))


def test_links_and_anchors_stay_inside(shelf):
    page, _ = bound()
    for text, target in {
        "Training": "#01_exploration:Training",
        "It's done": "#01_exploration:It%27s-done%3F",
        "Second": "#03_phase1_detection",
        "its training": "#03_phase1_detection:Training",
        "First": "#01_exploration:Training",
        "x": "#glossary:Dice",
        "net": "https://example.org/a",
    }.items():
        assert f'<a href="{target}">{text}</a>' in page
    assert re.search(r'<span class="away"[^>]*README.md[^>]*>away</span>', page)
    anchors = book.Checker(page).anchors
    assert {"01_exploration:It's-done?", "03_phase1_detection:Training", "03_phase1_detection:Training-2"} <= {*anchors}


def test_code_folds_and_solutions_are_folded(shelf):
    page, _ = bound()
    solution = page[page.index('<details class="solution">') :]
    assert solution.index("answer") < solution.index("forty-two") < solution.index("secret")
    folded = [part.partition("</details>")[0] for part in page.split('<details class="code">')[1:]]
    assert len(folded) == 1 and "secret" in folded[0]
    assert len(re.findall('<details class="code" open="">', page)) == 4


def test_outputs_that_are_hidden_fold_and_so_do_answers_in_text(shelf):
    page, _ = bound()
    hidden = [part.partition("</details>")[0] for part in page.split('<details class="hidden">')[1:]]
    assert len(hidden) == 1 and "whispered" in hidden[0]  # a solution folds as a whole
    answer = page[page.index("<summary>Answer</summary>") :].partition("</details>")[0]
    assert "<em>more</em>" in answer and "forty-two" not in answer


def test_pictures_tables_formulas_and_outputs(shelf):
    page, _ = bound()
    assert re.search(r'<img alt="The curve of this model." src="data:image/png', page)
    assert '<img alt="A red box, 40 pixels wide" src="data:image/png' in page
    assert '<div class="scroll"><table>' in page and "H<sub>2</sub>O" in page
    assert re.search(r'<img alt="\$2b/\(a\+b\)\$" class="formula" [^>]*data:image/svg', page)
    assert "<code>$\\begin{x}$</code>" in page
    contents = page[page.index("<nav") : page.index("</nav>")]
    assert "Training" in contents and "Inside an output" not in contents


def test_text_in_columns_is_told_from_text_that_may_wrap(shelf):
    cells = [code("a", printed("CNN     0.92")), code("b", printed("one  two"))]
    cells += [
        code("c", shown(text_plain="AUC     0.92")),
        code("d", shown(text_html="<i>x y</i>", text_plain="x     y")),
    ]
    write(copy_of("01_exploration"), "# 1", *cells)
    page, _ = bound()
    kinds = re.findall(r'<div class="(output[^"]*)">(?:(?!<div class="output[ "]).)*?(CNN|one|AUC|x) ', page, re.S)
    assert kinds == [("output columns", "CNN"), ("output", "one"), ("output columns", "AUC"), ("output", "x")]


def test_tables_break_long_names_and_no_interval(shelf):
    name = "results/cnn+resnet18+resnet50/record.json"
    cells = f'<table><tr><th>a/b</th><td class="x">{name} 0.91 (0.74–0.98)</td></tr></table>'
    write(copy_of("01_exploration"), f"# 1\n\n`{name}`\n\n| `{name}` |\n|---|", code("a", shown(text_html=cells)))
    page, _ = bound()
    broken = "results/<wbr/>cnn+<wbr/>resnet18+<wbr/>resnet50/<wbr/>record.json"
    assert f'<th>a/b</th><td class="x">{broken} 0.91 (0.74\u2060–\u20600.98)</td>' in page
    assert f"<p><code>{name}</code></p>" in page and f"<th><code>{broken}</code></th>" in page


def test_a_dark_screen_gets_colours_of_its_own(shelf):
    page, _ = bound()
    style = page[page.index("<style>") : page.index("</style>")]
    light, *dark = style.split("@media screen and (prefers-color-scheme: dark) {")
    assert "color-scheme: light dark" in light and len(dark) == 2
    for name in ("ink", "quiet", "line", "paper", "shade", "link", "note", "edge"):  # all of them, or none fits
        assert f"--{name}:" in light and f"--{name}:" in dark[0].partition("}")[0]
    assert ".highlight .k {" in dark[1] and ".formula { filter: invert" in dark[0]


def test_what_is_missing_is_said_and_linked(shelf):
    copy_of("03_phase1_detection").unlink()
    page, remarks = bound()
    assert remarks == ["03_phase1_detection-seed3 has not run."] and remarks[0] in page and book.problems(page) == []
    assert '<a href="#03_phase1_detection">its training</a>' in page and "3 · Second" in page


def test_a_command_in_what_is_missing_is_set_as_code(shelf):
    (shelf.parents[2] / "params" / "quick" / "09_trust.yaml").write_text("seed: 3\n")
    write(shelf.parents[2] / "notebooks" / "09_trust.ipynb", "# 9 · Trust", code("seed = 3", tags=["parameters"]))
    page, remarks = bound()
    assert remarks == ["09_trust goes beyond the paper: `make beyond`."]
    assert "<li>09_trust goes beyond the paper: <code>make beyond</code>.</li>" in page


def test_a_failed_notebook_is_named_with_its_error(shelf):
    error = new.new_output("error", ename="ValueError", evalue="no <slices>", traceback=[])
    copy_of("03_phase1_detection").unlink()
    log = write(copy_of("03_phase1_detection", folder="logs"), "# 3", code("x", error))
    copy_of("01_exploration", folder="logs").touch()  # as Snakemake leaves it
    page, (remark,) = bound()
    assert remark.startswith(f"{log.stem} stopped with ValueError: no <slices>. As far as it ran:")
    assert "no &lt;slices&gt;" in page
    log.write_text("{")
    assert f"{log.stem} did not finish" in bound()[1][0]


def test_a_copy_of_an_earlier_state_is_not_bound(shelf):
    page, remarks = bound()
    assert "seed: 3" not in page and remarks == []
    (shelf.parents[2] / "params" / "quick" / "01_exploration.yaml").write_text("seed: 4\n")
    page, remarks = bound()
    assert "01_exploration has not run since something that makes it changed." in remarks and "forty-two" not in page


def test_of_several_seeds_the_first_wanted_is_shown_and_the_others_are_named(shelf):
    other = write(copy_of("03_phase1_detection", 12), "# 3 · Second\n\nseed twelve")
    page, remarks = bound(seeds=(3, 12))
    assert "seed twelve" not in page and remarks == []
    assert f"executed/{other.name}</code>" in page and f"executed/{copy_of('03_phase1_detection').name}<" not in page
    page, remarks = bound(seeds=(12, 4, 3))
    assert "seed twelve" in page and f"executed/{copy_of('03_phase1_detection').name}</code>" in page
    assert remarks[0] == "03_phase1_detection-seed4 has not run."


def test_nothing_executed_is_a_mistake_in_words(shelf, capsys):
    assert commands.main(["book", "--profile", "paper"]) == 2
    assert "make reproduce PROFILE=paper" in capsys.readouterr().err
    assert commands.main(["book"]) == 0 and re.search(r"Book: .*book\.html \(0\.\d MB\)", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "would load https://cdn"),
        ('<link rel="stylesheet" href="style.css">', "would load style.css"),
        ('<img src="http://example.org/a.png">', "would load http"),
        ('<img src="a.png">', "would load a.png"),
        ('<iframe src="//example.org"></iframe>', "would load //example"),
        ("<style>@import 'more.css';</style>", "would load more.css"),
        ("<style>b { background: url(https://example.org/b.png) }</style>", "would load https"),
        ('<p style="background:url(b.png)"></p>', "would load b.png"),
        ('<a href="#nowhere">x</a>', "#nowhere leads nowhere"),
        ('<a href="02_more.ipynb">x</a>', "leads out of the book"),
        ('<b id="a"></b><b id="a"></b>', "a stands 2 times"),
    ],
)
def test_faults_of_a_page_are_seen(fault, said):
    (remark,) = book.problems(f"<p>{fault}")
    assert said in remark


def test_a_page_without_fault():
    assert book.problems('<a href="#a">x</a><a href="https://x.org">x</a><p id="a">url(x)<img src="data:x">') == []


def test_the_committed_notebooks_and_the_glossary_meet_each_other():
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    pages = {path.stem: notebook_files.read_notebook(path) for path in paths}
    pages["glossary"] = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    chapters = book.render(pages, set(), ROOT / "notebooks")
    page = "".join(f'<section id="{chapter.key}">{chapter.html}</section>' for chapter in chapters)
    assert book.problems(page) == [] and len(chapters) >= 8
    assert "$" not in re.sub(r"<pre.*?</pre>|<code>.*?</code>|<[^>]+>", "", page, flags=re.DOTALL)


def test_the_glossary_explains_the_words_of_the_course():
    text = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^### (.+)$", text, re.MULTILINE)
    wanted = (
        "slice,window,hounsfield,ischemia,hemorrhage,overlay,mask,sensitivity,specificity,precision,f1,macro,auc,dice"
    )
    wanted += (
        ",iou,soft,hd95,bootstrap,wilson,stratified,leakage,augmentation,batchnorm,backbone,u-net,fold,calibration"
    )
    assert [word for word in wanted.split(",") if not any(word in term.lower() for term in terms)] == []
    bodies = re.split(r"^#+ .+\n", text, flags=re.MULTILINE)
    assert max(len(re.findall(r"[.?!](?:\s|$)", body)) for body in bodies[2:]) <= 5
    assert len(terms) == len(set(terms)) and "recall" in text.lower()


def test_a_mistake_in_reading_is_no_book(shelf):
    copy_of("01_exploration").write_text("{")
    with pytest.raises(errors.UserError, match="cannot be read as a notebook"):
        bound()
    assert not (shelf.parent / "book.html").exists()


def test_the_first_page_shows_what_a_network_found(shelf):
    page, _ = bound()
    assert "What a U-Net of this profile finds" not in page
    figure = shelf.parent / "06_results_figures" / "a run" / "figures" / "segmentation.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(base64.b64decode(picture()))
    page, remarks = bound()
    assert remarks == [] and page.index("Where to begin") < page.index("What a U-Net of this profile finds")
    assert re.search(
        r'<img src="data:image/png[^"]+" alt="Slices with the true|alt="Slices with the true[^>]+data:', page
    )


def test_a_cell_describes_its_own_picture(shelf):
    cell = code("draw()", shown(image_png=picture()))
    cell.metadata["alt"] = "Two bars."
    write(copy_of("01_exploration"), *FIRST, cell)
    assert 'alt="Two bars."' in bound()[0] and 'alt="The curve of this model."' in bound()[0]
