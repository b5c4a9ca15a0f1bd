"""The words of the notebooks: numbers that an output bears out, terms linked, sentences short, figures described.

``pytest tests/test_language.py -k 02_`` lists the faults of one notebook, cell by cell. What counts as a number:
digits, and number words above ten, in Markdown text. Code spans and formulas are code. No numbers are: those of lists,
years in brackets, references (``Fig. 4``, ``notebook 7``, ``session 1``), titles in links to notebooks, names with
digits (``F1``, ``ResNet-18``). The table *Needs* of the opening says what a machine needs and is left out.
"""

import copy
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import mistune
import pytest
import yaml

from stroke_utils.base.vocabulary import PAPER_TABLES, PUBLISHED_COUNTS
from stroke_utils.course import notebook_files

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "notebooks" / "glossary.md"]
GLOSSARY = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
LONGEST = 30
"""Words in a sentence at most."""

CODE, FORMULA = "\ue000", "\ue001"
"""What stands in a text for a code span and for a formula: one word, and no number."""

PARSE = mistune.create_markdown(renderer=None, plugins=["table", "math"])


@dataclass
class Block:
    """A heading, paragraph, list item or table cell: its text, and the link that each letter of it is in."""

    kind: str
    text: str = ""
    links: list[str] = field(default_factory=list)

    def add(self, text: str, link: str = "") -> None:
        self.text += text
        self.links += [link] * len(text)

    def read(self, token: dict, link: str = "") -> None:
        """Add a token of mistune's tree and all below it."""
        url = unquote(token["attrs"]["url"]) if token["type"] == "link" else link
        if token["type"] == "codespan":
            self.add(CODE, url)
        elif token["type"].endswith("_math"):
            self.add(FORMULA, url)
        elif token["type"] in ("softbreak", "linebreak"):
            self.add(" ", url)
        elif token["type"] == "text":
            self.add(token["raw"], url)
        for child in token.get("children", []):
            self.read(child, url)


@functools.cache
def blocks(source: str) -> list[Block]:
    """Return the text of Markdown in blocks, the table *Needs* left out."""
    found = []

    def walk(tokens: list[dict]) -> None:
        for token in tokens:
            if token["type"] in ("heading", "paragraph", "block_text", "table_cell"):
                block = Block(token["type"])
                for child in token.get("children", []):
                    block.read(child)
                found.append(block)
            elif token["type"] != "table" or text_of(token["children"][0]["children"][0]) != "Needs":
                walk(token.get("children", []))

    walk(PARSE(source))
    return found


def text_of(token: dict) -> str:
    block = Block("")
    block.read(token)
    return block.text.strip()


def prose(notebook) -> Iterator[tuple[str, Block]]:
    """Give the blocks of all Markdown cells with the cell's id."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from ((cell.id, block) for block in blocks(cell.source))


# Numbers. A source is a number that an output, a parameter or a table of the paper shows.

_NUMBER = re.compile(r"(?<![\w.,])(?<![A-Za-z]-)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![A-Za-z_\d])")
_SHOWN = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+(?!\d)|\d+)(\.\d+)?(e[+-]\d+)?(?![A-Za-z_\d])(\s?%)?")
_REFERENCE = re.compile(
    r"\b(?:Fig|Figs|Table|Tables|section|exercise|exercises|notebook|notebooks|phase|session|sessions|record|seed)\.?"
    r"\s\d+(?:(?:, | to | and | or |–)\d+)*|^\d+(?:\.(?=\s|$)| ·)|\((?:19|20)\d\d\)",
    re.IGNORECASE,
)
_SMALL = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_TEENS = ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORD = re.compile(
    rf"\b(?:({'|'.join(_TEENS)}|{'|'.join(_TENS)})|(?:({'|'.join(_SMALL)}|a|half a) )?({'|'.join(_LARGE)}))\b",
    re.IGNORECASE,
)


def _in_digits(found: re.Match) -> str:
    """Return a number word above ten in digits."""
    single, times, large = (part and part.lower() for part in found.groups())
    if single:
        return str(_TEENS.index(single) + 11 if single in _TEENS else 10 * _TENS.index(single) + 20)
    several = {"a": 1, "half a": 0.5, None: 1}.get(times) or _SMALL.index(times) + 1
    return str(int(several * _LARGE[large]))


class Number(NamedTuple):
    """A number in prose.

    Attributes:
        written: its digits as written.
        percent: whether it counts percent or points of percent.
        rough: whether the text calls it rough, as in *about 40*.
        around: the words around it.
    """

    written: str
    percent: bool = False
    rough: bool = False
    around: str = ""


def numbers(block: Block) -> Iterator[Number]:
    """Give each number of a block."""
    letters = zip(block.text, block.links, strict=True)
    text = "".join(" " if re.search(r"\.ipynb|^https?:", link) else letter for letter, link in letters)
    text = _WORD.sub(_in_digits, _REFERENCE.sub(" ", text))
    for found in _NUMBER.finditer(text):
        before, after = text[: found.start()], text[found.end() :]
        percent = re.match(r"(?:\s?(?:to|–|and|or)\s?[\d.]+)?\s?(?:%|percent|points?\b)", after)
        rough = re.search(r"\b(about|some|nearly|almost|roughly|around)\s$", before)
        yield Number(found[0], bool(percent), bool(rough), f"{before[-40:]}{found[0]}{after[:30]}")


def in_text(text: str) -> set[float]:
    """Return the numbers in a text of a program; a percentage also as a fraction."""
    found = set()
    for match in _SHOWN.finditer(text):
        value = float(match[1].replace(",", "") + (match[2] or "") + (match[3] or ""))
        found |= {value, value / 100} if match[4] else {value}
    return found


def shown_by(output) -> Iterator[str]:
    """Give the text that an output shows; of a table the HTML, without the numbers that only count its rows."""
    data = output.get("data", {})
    yield output.get("text", "")
    yield "" if "text/html" in data else data.get("text/plain", "")
    yield data.get("text/markdown", "")
    yield re.sub(r"<style.*?</style>|<th>\d+</th>|<[^>]+>", " ", data.get("text/html", ""), flags=re.DOTALL)


def sources(notebook, stem: str) -> set[float]:
    """Return the numbers that a notebook may speak of: its stored outputs, its parameters, the paper's tables."""
    shown = [text for cell in notebook.cells for output in cell.get("outputs", []) for text in shown_by(output)]
    own = [notebook_files.defaults_of(notebook, stem)]
    paper = ROOT / "params" / "paper" / f"{stem}.yaml"
    own += [yaml.safe_load(paper.read_text(encoding="utf-8"))] if paper.is_file() else []
    published = [value for models in PAPER_TABLES.values() for row in models.values() for value in row.values()]
    counts = [count for part in PUBLISHED_COUNTS.values() for count in part.values()]
    return (
        in_text("\n".join(shown)) | in_text(str(own)) | {*published, *(round(100 * v, 2) for v in published), *counts}
    )


def stands(number: Number, known: set[float]) -> bool:
    """Say whether a number in prose is one of the known ones, rounded as it is written.

    A whole number that is neither a percentage nor said to be rough must be whole in its source as well.
    """
    whole, _, decimals = number.written.replace(",", "").partition(".")
    value, exact = float(f"{whole}.{decimals or 0}"), not (decimals or number.percent or number.rough)
    within = 1e-9 if exact else 0.5 * 10 ** -len(decimals) + 1e-9
    return any(abs(shown - value) < within for k in known for shown in ({k, 100 * k} if number.percent else {k}))


def unknown(found: Iterable[tuple[str, Block]], known: set[float]) -> Iterator[str]:
    """Name the numbers of some blocks that are not known."""
    for where, block in found:
        for number in numbers(block):
            if not stands(number, known):
                yield f"{where}: no output, parameter or table has {number.written} in {number.around!r}"


def claims_are_borne_out(notebook, stem):
    yield from unknown(prose(notebook), sources(notebook, stem))


# Terms of the glossary.


def terms() -> dict[str, list[str]]:
    """Return the names under each third-level heading of the glossary, by the heading's anchor."""
    heads = [text_of(token) for token in PARSE(GLOSSARY) if token["type"] == "heading" and token["attrs"]["level"] == 3]
    return {head.replace(" ", "-"): [name.strip() for name in head.split(",")] for head in heads}


def _with_plural(name: str) -> str:
    return f"{re.escape(name[:-2])}(?:ix|ices)" if name.endswith("ix") else f"{re.escape(name)}(?:s|es)?"


def first_uses_are_linked(notebook, stem):
    texts = [(where, block) for where, block in prose(notebook) if block.kind != "heading"]
    for anchor, names in terms().items():
        pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_with_plural, names))})(?![\w-])", re.IGNORECASE)
        for where, block in texts:
            uses = [m for m in pattern.finditer(block.text) if link_of(block, m) in ("", f"glossary.md#{anchor}")]
            if uses:
                if not link_of(block, uses[0]):
                    yield f"{where}: {uses[0][0]!r} is not linked to glossary.md#{anchor} in {block.text[:60]!r}"
                break


def link_of(block: Block, found: re.Match) -> str:
    return block.links[found.start()]


def links_meet_the_glossary(notebook, stem):
    known = {*terms(), *(t.replace(" ", "-") for t in re.findall(r"^##? (.+)$", GLOSSARY, re.MULTILINE))}
    for where, block in prose(notebook):
        for link in sorted({link for link in block.links if link.startswith("glossary.md#")}):
            if link.partition("#")[2] not in known:
                yield f"{where}: {link} meets no heading of the glossary"


# Sentences and figures.


def sentences(block: Block) -> list[str]:
    text = re.sub(r"\b(Figs?|e\.g|i\.e|vs|et al)\.", r"\1", block.text)
    return re.split(r"(?<=[.!?])[”\"')*]*\s+(?=\S)", text.strip())


def too_long(found: list[tuple[str, Block]]) -> Iterator[str]:
    for where, block in found:
        for sentence in sentences(block):
            words = [word for word in sentence.split() if re.search(rf"\w|{CODE}|{FORMULA}", word)]
            if len(words) > LONGEST:
                yield f"{where}: a sentence of {len(words)} words (at most {LONGEST}): {sentence[:90]!r}"


def sentences_are_short(notebook, stem):
    yield from too_long(list(prose(notebook)))


def figures_are_described(notebook, stem):
    """The cell's metadata ``alt``, which nbconvert and the book read, or that of the output."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt") or cell.metadata.get("alt", "")
                if len(alt.split()) < 5:
                    yield f"{cell.id}: its figure has no alt text, or one too short: {alt!r}"


def answers_are_folded(notebook, stem):
    """An explanation in Markdown that opens on demand, then the solution, whose code and output are folded."""
    for above, cell in itertools.pairwise(notebook.cells):
        if "solution" not in cell.metadata.get("tags", []):
            continue
        if not all(cell.metadata.get("jupyter", {}).get(f"{what}_hidden") for what in ("source", "outputs")):
            yield f"{cell.id}: the code or the output of the solution is not folded"
        if not re.search(r"<details><summary>Answer</summary>\n\n.+\n\n</details>\s*$", above.source, re.DOTALL):
            yield f"{cell.id}: no <details><summary>Answer</summary> … </details> ends the text above the solution"


RULES = [
    claims_are_borne_out,
    first_uses_are_linked,
    links_meet_the_glossary,
    sentences_are_short,
    figures_are_described,
    answers_are_folded,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_words(path, rule):
    faults = list(rule(notebook_files.read_notebook(path), path.stem))
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_sentences_of_pages_are_short(path):
    faults = list(too_long([(path.name, block) for block in blocks(path.read_text(encoding="utf-8"))]))
    assert not faults, "\n".join(faults)


# Each rule is shown its own violation.


def with_text(notebook, text):
    changed = copy.deepcopy(notebook)
    changed.cells[0].source += f"\n\n{text}"
    return changed


@pytest.fixture(scope="module")
def forensics():
    return notebook_files.read_notebook(ROOT / "notebooks" / "07_table_forensics.ipynb")


def test_a_number_changed_by_hand_is_seen(forensics):
    known, seen, tried = sources(forensics, "07_table_forensics"), 0, 0
    for cell in forensics.cells:
        read = {n.written for block in blocks(cell.source) for n in numbers(block)} if "outputs" not in cell else set()
        before = len(list(unknown([("", block) for block in blocks(cell.source)], known))) if read else 0
        for found in re.finditer(r"\d+\.\d+", cell.source):
            for digit in set("0123456789") - {found[0][-1]} if found[0] in read else ():
                changed = blocks(cell.source[: found.end() - 1] + digit + cell.source[found.end() :])
                seen += len(list(unknown([("", block) for block in changed], known))) > before
                tried += 1
    # The rest became, by chance, another number that the notebook shows.
    assert tried > 100 and seen > 0.75 * tried, f"{seen} of {tried} changed numbers were seen"


def test_a_recall_changed_by_hand_is_seen(forensics):
    changed = copy.deepcopy(forensics)
    for cell in changed.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace('"Recall 96.43"', '"Recall 96.53"')
    assert list(claims_are_borne_out(forensics, "07_table_forensics")) == []
    (fault,) = claims_are_borne_out(changed, "07_table_forensics")
    assert fault.startswith("07-15: ") and " has 96.53 in " in fault


def test_what_is_a_number():
    def found(text):
        return [number.written for block in blocks(text) for number in numbers(block)]

    assert found("Dice is 0.95, of 10,000 pairs twelve; half a million, ten, 3.6 to 11 points, 512×512") == [
        *("0.95", "10,000", "12", "500000", "3.6", "11", "512", "512"),
    ]
    assert found("# Figs. 1 to 3\n\n1. `x = 5`, $2n$, F1 of ResNet-18 in session 1 and notebooks 3 to 5 (2022)\n") == []
    assert (
        found("**2.** By [7 · Forensics](07_table_forensics.ipynb), [exercise 3](#a), uint8, Tables 1, 2 and 3") == []
    )


def test_a_number_stands_only_as_it_is_written():
    known = in_text("Dice 0.964, share 86.6 %, 24,320 pixels, loss 0.447, p 1e-05")
    good = ("0.96",), ("87", True), ("24320",), ("96", True), ("0.00001",), ("87", False, True)
    bad = ("0.95",), ("24321",), ("0.45001",), ("1",), ("87",)
    assert all(stands(Number(*words), known) for words in good)
    assert not any(stands(Number(*words), known) for words in bad)


def test_other_rules_see_their_violation(forensics):
    stem = "07_table_forensics"
    for rule, text in (
        (first_uses_are_linked, "Too much Dropout."),
        (links_meet_the_glossary, "[x](glossary.md#Nothing)"),
        (sentences_are_short, f"It is {'very ' * 29}long."),
    ):
        assert len(list(rule(with_text(forensics, text), stem))) > len(list(rule(forensics, stem))), rule
    opened = copy.deepcopy(forensics)
    for cell in opened.cells:
        cell.metadata.pop("jupyter", None)
        cell.source = cell.source.replace("<details>", "")
    assert len(list(answers_are_folded(opened, stem))) == 6
    bare = copy.deepcopy(forensics)
    for cell in bare.cells:
        cell.metadata.pop("alt", None)
    assert len(list(figures_are_described(bare, stem))) == 2


def test_a_sentence_ends_at_its_point():
    (block,) = blocks("One is in Fig. 4 here. Two? [Three](x.md) of `a.b` ends.")
    assert sentences(block) == ["One is in Fig 4 here.", "Two?", f"Three of {CODE} ends."]
