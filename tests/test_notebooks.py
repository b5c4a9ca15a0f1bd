"""The form that every committed notebook keeps, rule by rule; each rule is also shown to see its own violation."""

import ast
import base64
import builtins
import copy
import io
import re
import statistics
import tokenize
from pathlib import Path

import nbformat
import pytest
from papermill.translators import PythonTranslator

from stroke_utils.base import errors
from stroke_utils.course import notebook_files
from stroke_utils.results import parameters, runs

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
REQUIRED = [
    "00_start_here",
    "01_exploration",
    "02_mask_extraction",
    "03_phase1_detection",
    "04_phase2_classification",
    "05_segmentation",
    "06_results_figures",
    "07_table_forensics",
    "08_leakage_and_shortcuts",
    "09_trust",
    "10_one_model",
    "11_read_a_scan",
]
CLOSING = ["What to remember", "Exercises", "The record of this run"]
"""Second-level headings that end a notebook and are no lesson."""


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in code_cells(notebook) if tag in cell.metadata.get("tags", [])]


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def texts(cell):
    """Everything a cell's outputs say in text, HTML included."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        yield from (str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/"))


def headings(notebook):
    return [h for text in markdown(notebook) for h in re.findall(r"^## +(.+?) *$", text, re.MULTILINE)]


def anchor(heading):
    """The anchor that JupyterLab gives a heading."""
    return heading.replace(" ", "-")


# Each rule gives its objections, one text each; none is good.


def executed_in_order(notebook, path):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if not counts or counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def one_cell_of_commented_literals(notebook, path):
    try:
        notebook_files.defaults_of(notebook, path.name)
    except errors.UserError as error:
        yield str(error)
        return
    for line in tagged(notebook, "parameters")[0].source.splitlines():
        if not any(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(line).readline)):
            yield f"parameter without comment: {line}"


def defaults_are_the_quick_profile(notebook, path):
    defaults = notebook_files.defaults_of(notebook, path.name)
    quick = parameters.read_parameters(ROOT / "params" / "quick" / f"{path.stem}.yaml")
    if {k: (v, type(v)) for k, v in defaults.items()} != {k: (v, type(v)) for k, v in quick.items()}:
        yield f"the cell says {defaults}, params/quick says {quick}"


def parameters_are_those_of_the_table(notebook, path):
    defaults = notebook_files.defaults_of(notebook, path.name)
    read, said = parameters.faults(path.stem, defaults, defaults)
    yield from said
    yield from (
        f"{name} is {defaults[name]!r}, read as {v!r}" for name, v in read.items() if repr(v) != repr(defaults[name])
    )
    for shown in PythonTranslator.inspect(tagged(notebook, "parameters")[0]):  # what `papermill --help-notebook` shows
        row = parameters.TABLE.get(shown.name)
        if row and shown.help != row.help_in(path.stem):
            yield f"{shown.name} is explained as {shown.help!r}, in the table as {row.help_in(path.stem)!r}"


def facts_are_checked(notebook, path):
    checked = tagged(notebook, "nbval-check-output")
    if len(checked) < 5:
        yield f"{len(checked)} cells are tagged nbval-check-output; at least 5 are expected"
    for cell in checked:
        if not cell.outputs:
            yield f"In[{cell.execution_count}] is checked but has no stored output"
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            yield f"In[{cell.execution_count}] is checked but shows a figure, which nbval cannot compare"


def figures_are_not_compared(notebook, path):
    for cell in code_cells(notebook):
        drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
        if drawn and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            yield f"In[{cell.execution_count}] draws and is not tagged nbval-ignore-output"
    for cell in code_cells(notebook):
        # nbval sees what a semicolon hides from a reader.
        if cell.source.endswith(";") and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            yield f"{cell.source.splitlines()[-1]!r} hides an output that is compared"


def outputs_are_clean(notebook, path):
    for cell in code_cells(notebook):
        where = f"In[{cell.execution_count}]"
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield f"{where} wrote to stderr: {output.text[:80]}"
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                yield f"{where} ended in {output.ename}"
        for text in texts(cell):
            if found := re.search(r"\r|\d+it/s|it/s\]|━|█|\d+/\d+ \[|ETA", text):
                yield f"{where} shows a progress bar: {found[0]!r}"


def nothing_of_the_machine(notebook, path):
    own = re.escape(str(ROOT)) + "|" + re.escape(str(Path.home()) + "/")
    absolute = re.compile(
        rf"{own}|(?<![\w.…/:<>])/(home|root|Users|tmp|work|usr|opt|var|mnt|private|srv)/|\b[A-Z]:\\\\|site-packages"
    )
    for cell in code_cells(notebook):
        for text in (cell.source, *texts(cell)):
            if found := absolute.search(text):
                yield f"In[{cell.execution_count}] holds a path of this machine: {text[found.start() :][:80]!r}"
    if set(notebook.metadata) - {"kernelspec", "language_info"} or "version" in notebook.metadata.language_info:
        yield f"metadata differ from machine to machine: {dict(notebook.metadata)}"
    if notebook.metadata.kernelspec.get("name") != "python3":
        yield f"the kernel is {notebook.metadata.kernelspec.get('name')}, not python3"
    if any({"execution", "papermill"} & set(cell.metadata) for cell in notebook.cells):
        yield "cells hold times of execution"


def what_is_compared_is_the_same_in_every_profile(notebook, path):
    smoke = [parameters.read_parameters(file) for file in (ROOT / "params" / "smoke").glob("*.yaml")]
    names = "|".join({name for values in smoke for name in values})
    setting = re.compile(rf"\b({names})\b['\":=]*[ \t]+\S*\d|\bprofile\b\W+quick\b")
    for cell in code_cells(notebook):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            continue
        for text in texts(cell):
            if found := setting.search(text) or re.search(r"seed\d+-[0-9a-f]{8}|\bresults/|\w\.(json|h5|csv)\b", text):
                yield f"In[{cell.execution_count}] is compared and shows a setting, a run or a path: {found[0]!r}"


def cells_are_short(notebook, path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    if max(lengths) > 20 or statistics.median(lengths) > 4:
        yield f"the longest cell has {max(lengths)} lines (20), the median is {statistics.median(lengths)} (4)"


def opening_says_what_comes(notebook, path):
    first = notebook.cells[0].source if notebook.cells[0].cell_type == "markdown" else ""
    if not re.match(r"# .+\n\n\w[^\n]+", first):
        yield "the first cell does not open with a title and a sentence"
    learn = first.partition("**What you will learn**")[2].partition("Needs")[0]
    listed = re.findall(r"^(?:\d+\.|-|\*) \[(.+?)\]\(#", learn, re.MULTILINE)
    lessons = [heading for heading in headings(notebook) if heading not in CLOSING]
    if not listed or listed != lessons:
        yield f"'What you will learn' lists {listed}; the lessons are {lessons}"
    needs = first.partition("Needs")[2].lower()
    yield from (f"Needs does not mention {w}" for w in ("notebook", "data", "time", "gpu", "memory") if w not in needs)


def closing_says_what_remains(notebook, path):
    text = "\n".join(markdown(notebook)).partition("## What to remember")[2]
    if not text:
        yield "there is no '## What to remember'"
    if "Written to disk" not in text:
        yield "the closing does not say what was written to disk"
    if not re.search(r"^## Exercises", text, re.MULTILINE):
        yield "there are no exercises"
    solutions = tagged(notebook, "solution")
    if len(solutions) < 2:
        yield f"{len(solutions)} cells are tagged solution; at least 2 are expected"
    for cell in solutions:
        if cell.metadata.get("jupyter", {}).get("source_hidden") is not True or cell.execution_count is None:
            yield f"the solution In[{cell.execution_count}] is not folded or not executed"


def neighbours_are_linked(notebook, path):
    stems = sorted({*REQUIRED, *(other.stem for other in PATHS)})
    place = stems.index(path.stem) if path.stem in stems else 0
    first, last = markdown(notebook)[0], "\n".join(markdown(notebook)).partition("## What to remember")[2]
    for offset, where, text in ((-1, "opening", first), (1, "opening", first), (1, "closing", last)):
        if 0 <= place + offset < len(stems) and f"({stems[place + offset]}.ipynb" not in text:
            yield f"the {where} does not link {stems[place + offset]}.ipynb"


def links_resolve(notebook, path):
    every = [h for text in markdown(notebook) for h in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)]
    for text in markdown(notebook):
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            name, _, inner = target.partition("#")
            if re.match(r"\w+://|mailto:", target):
                continue
            if name and not (FOLDER / name).exists():
                yield f"the link {target} leads nowhere"
            if inner and not name and inner not in map(anchor, every):
                yield f"the link #{inner} meets no heading"


def it_is_small(notebook, path):
    size = len(nbformat.writes(notebook).encode())
    if size > 1.5e6:
        yield f"the notebook has {size / 1e6:.1f} MB; at most 1.5 are expected"


# Names that a cell which trains may take from others: what the run is named by, and what only says where things are.
NAMED = {"run", "p", "cohort", "folder", "encoder", "titles"}
SCORED = {"03_phase1_detection": {"first", "parts", "truth"}}  # by the cell that trains the experiment's networks


def what_trains_is_tagged(notebook, path):
    """A network is named by the cells tagged `training`: what these read must be set in them, or be in its name."""
    cells = [ast.parse(cell.source) for cell in code_cells(notebook) if "training" in cell.metadata.get("tags", [])]
    nodes = [node for cell in cells for node in ast.walk(cell)]
    known = (
        NAMED | SCORED.get(path.stem, set()) | set(dir(builtins)) | set(notebook_files.defaults_of(notebook, path.name))
    )
    for cell in code_cells(notebook):
        imports = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Import | ast.ImportFrom)]
        known |= {alias.asname or alias.name for node in imports for alias in node.names}
    known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name in sorted(read - known):
        yield f"a cell tagged 'training' reads {name}, which is set in a cell that is not"
    if path.stem in runs.TASKS and not cells:
        yield "no cell is tagged 'training'"


RULES = [
    what_trains_is_tagged,
    executed_in_order,
    one_cell_of_commented_literals,
    defaults_are_the_quick_profile,
    parameters_are_those_of_the_table,
    facts_are_checked,
    figures_are_not_compared,
    outputs_are_clean,
    nothing_of_the_machine,
    what_is_compared_is_the_same_in_every_profile,
    cells_are_short,
    opening_says_what_comes,
    closing_says_what_remains,
    neighbours_are_linked,
    links_resolve,
    it_is_small,
]


def test_the_notebooks_of_the_course_are_there():
    assert set(REQUIRED) <= {path.stem for path in PATHS}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_form(path, rule):
    assert list(rule(notebook_files.read_notebook(path), path)) == []


@pytest.mark.parametrize("profile", sorted(p.name for p in (ROOT / "params").glob("*")))
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_parameters_files_hold_known_keys_and_say_why(path, profile):
    file = ROOT / "params" / profile / f"{path.stem}.yaml"
    values, defaults = parameters.read_parameters(file), notebook_files.defaults(path)
    assert values["profile"] == profile
    assert set(values) == set(defaults) or profile not in ("quick", "paper")  # others name only what they change
    if profile != "quick":  # there the notebook's own cell says it
        lines = file.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if re.match(r"\w", line) and not re.search(r"\s# \S", line)] == []


def output(kind, **more):
    return nbformat.v4.new_output(kind, **more)


def spoil(notebook, rule):
    """Break one rule in a notebook that keeps them all."""
    cells, first = code_cells(notebook), notebook.cells[0]
    checked = tagged(notebook, "nbval-check-output")
    image = {"image/png": base64.b64encode(b"x").decode()}
    match rule.__name__:
        case "executed_in_order":
            cells[1].execution_count = 7
        case "one_cell_of_commented_literals":
            tagged(notebook, "parameters")[0].source += "\nmore = 1"
        case "defaults_are_the_quick_profile":
            tagged(notebook, "parameters")[0].source += "\nmore = 1  # more"
        case "parameters_are_those_of_the_table":
            cell = tagged(notebook, "parameters")[0]
            cell.source = cell.source.replace("the slices that are shown", "slices")
        case "facts_are_checked":
            checked[0].outputs = []
        case "figures_are_not_compared":
            cells[0].metadata.tags = []
            cells[0].outputs = [output("display_data", data=image)]
        case "outputs_are_clean":
            cells[0].outputs = [output("stream", name="stderr", text="x")]
        case "nothing_of_the_machine":
            cells[0].outputs = [output("stream", name="stdout", text="read /home/me/x")]
        case "what_is_compared_is_the_same_in_every_profile":
            checked[0].outputs = [output("stream", name="stdout", text="epochs  2")]
        case "what_trains_is_tagged":
            cells[0].metadata.tags, cells[0].source = ["training"], "rate = chosen_elsewhere"
        case "cells_are_short":
            cells[0].source = "x = 1\n" * 21
        case "opening_says_what_comes":
            first.source = first.source.replace("](#", " indeed](#", 1)
        case "closing_says_what_remains":
            tagged(notebook, "solution")[0].metadata.jupyter.source_hidden = False
        case "neighbours_are_linked":
            first.source = re.sub(r"\(\d\d_\w+\.ipynb", "(x.ipynb", first.source)
        case "links_resolve":
            first.source += "\n[x](99_nowhere.ipynb)"
        case "it_is_small":
            first.source += "x" * 1_500_001


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_sees_its_violation(rule):
    path = FOLDER / "01_exploration.ipynb"  # it has all that the rules speak of
    whole = notebook_files.read_notebook(path)
    spoiled = copy.deepcopy(whole)
    spoil(spoiled, rule)
    assert len(list(rule(spoiled, path))) > len(list(rule(whole, path)))
