"""Bind a profile's executed notebooks into one HTML file: ``stroke-regions book --profile quick``.

nbconvert renders; added here is what one file for offline reading needs: one set of anchors, links between notebooks
that stay inside the book, formulas as pictures, and a word on what is missing. ``make reproduce`` calls it last.
"""

import base64
import datetime
import html
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

import jinja2
import nbformat
from matplotlib import mathtext
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from stroke_utils.base import errors, files, paths, templates
from stroke_utils.course import cards
from stroke_utils.course.headless import short_path
from stroke_utils.course.notebook_files import read_notebook
from stroke_utils.course.plan import Plan
from stroke_utils.results.parameters import goes_beyond

TEMPLATES = Path(__file__).resolve().parent / "templates"
GLOSSARY, FRONT = "glossary.md", "top"
"""File of the glossary beside the notebooks; key of the first page."""

POINTS = 10
"""Points that are one em in :func:`formula`: its letters then match the text around it."""


@dataclass
class Chapter:
    """One notebook or page of the book.

    Attributes:
        key: its anchor, the stem of its file; anchors inside it are ``key:place``.
        html: its body.
        places: the text and anchor of each second-level heading.
        missing: whether the notebook is not here.
        headings: level (0 inside an output), text and anchor of every heading.
    """

    key: str
    html: str = ""
    missing: bool = False
    headings: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its first heading."""
        return self.headings[0][1] if self.headings else self.key

    @property
    def address(self) -> str:
        """Link to the chapter."""
        return address(self.key)

    @property
    def places(self) -> list[dict[str, str]]:
        """Links to its second-level headings."""
        return [{"text": text, "address": address(anchor)} for level, text, anchor in self.headings if level == 2]


def address(anchor: str) -> str:
    """Return the link to an anchor of this page."""
    return "#" + quote(anchor, safe=":")


def formula(body: str, block: bool = False) -> str:
    """Return a formula as an embedded picture; as code where matplotlib cannot set it."""
    body = body.strip().replace(r"\frac", r"\dfrac") if block else body.strip()  # in a line of its own there is room
    text, stream = f"${body}$", io.BytesIO()
    try:
        width, _, depth, *_ = mathtext.MathTextParser("path").parse(text, dpi=72)
        mathtext.math_to_image(text, stream, format="svg")
    except ValueError:
        return f"<code>{html.escape(text)}</code>"
    picture = base64.b64encode(stream.getvalue()).decode()
    place = "display:block;margin:1em auto" if block else f"vertical-align:{-depth / POINTS:.2f}em"
    style = f"width:{width / POINTS:.2f}em;{place}"
    return f'<img alt="{html.escape(text)}" class="formula" style="{style}" src="data:image/svg+xml;base64,{picture}">'


def with_breaks(table: str) -> str:
    """Let the cells of an HTML table break after ``+`` and ``/`` in long names, and not at the dash of an interval."""

    def broken(cell: re.Match) -> str:
        whole = re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", cell[2])
        return cell[1] + re.sub(r"\S{25,}", lambda name: re.sub(r"\b[+/]\b", r"\g<0><wbr>", name[0]), whole)

    return re.sub(r"(<(?:t[dh]\b[^>]*|code)>)([^<]+)", broken, table)


class Renderer(IPythonRenderer):
    """Renders Markdown as part of a chapter: own anchors, links within the book, tables that scroll."""

    def __init__(self, chapter: Chapter, whole: set[str], partly: set[str], listed: bool, **settings):
        super().__init__(escape=False, embed_images=True, **settings)
        self.chapter, self.whole, self.partly, self.listed = chapter, whole, partly, listed

    def heading(self, text: str, level: int, **attrs) -> str:
        """Return a heading one level down, for the book's title is above it, with the anchor JupyterLab gives it."""
        plain = html.unescape(re.sub("<[^>]+>", "", text))
        anchor, taken = f"{self.chapter.key}:{plain.replace(' ', '-')}", [a for *_, a in self.chapter.headings]
        if anchor in taken:
            anchor += f"-{taken.count(anchor) + 1}"
        self.chapter.headings.append((level * self.listed, plain, anchor))
        down = min(level + (self.chapter.key != FRONT), 6)  # the book's title is above all others
        return f'<h{down} id="{html.escape(anchor)}">{text}</h{down}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Return a link into the book or to the net; what is in neither becomes text that names the file."""
        if re.match(r"(https?|mailto):", url):
            return super().link(text, url, title)
        page, _, place = unquote(url).partition("#")
        key = Path(page).stem if page else self.chapter.key
        if key in self.partly:
            place = ""
        if key not in self.whole | self.partly:
            return f'<span class="away" title="{html.escape(page)} of the project">{text}</span>'
        target = f"{key}:{place}" if place else key
        return f'<a href="{html.escape(address(target))}">{text}</a>'

    def table(self, text: str) -> str:
        """Return a table in a box of its own that scrolls."""
        return f'<div class="scroll"><table>{with_breaks(text)}</table></div>\n'

    def inline_html(self, html: str) -> str:
        """Return HTML inside a line as it is; nbconvert would close every tag at once on its way to pictures."""
        return super().inline_html(html) if "<img" in html else html

    def block_html(self, html: str) -> str:
        """Return a block of HTML as it is too: the two ends of a folded answer are blocks of their own."""
        return super().block_html(html) if "<img" in html else html

    def inline_math(self, body: str) -> str:
        """Return a formula inside a line."""
        return formula(body)

    def block_math(self, body: str) -> str:
        """Return a formula in a line of its own."""
        return formula(body, block=True)


class Exporter(HTMLExporter):
    """Renders notebooks and pages of Markdown as chapters.

    Attributes:
        whole: keys of the chapters that links may go into.
        partly: keys of those that links may go to, but not to a place inside.
    """

    def __init__(self, whole: set[str], partly: set[str]):
        super().__init__(template_name="basic", template_file="notebook.html.j2", extra_template_paths=[str(TEMPLATES)])
        self.register_filter("with_breaks", with_breaks)
        self.whole, self.partly = whole, partly

    def chapter_of(self, key: str, page: str | nbformat.NotebookNode, folder: Path) -> Chapter:
        """Return one chapter; pictures that its text names are embedded from ``folder``."""
        self.chapter = Chapter(key, missing=key in self.partly)
        if isinstance(page, str):
            self.chapter.html = f'<div class="text">\n{self.markdown(page, folder)}</div>'
        else:
            describe_pictures(page)
            self.chapter.html, _ = self.from_notebook_node(page, {"metadata": {"path": str(folder)}})
        return self.chapter

    @jinja2.pass_context
    def markdown2html(self, context: jinja2.runtime.Context, source: str) -> str:
        """Render the Markdown of a cell or an output; the template calls it."""
        folder, cell = context["resources"]["metadata"]["path"], context["cell"]
        return self.markdown(source, folder, cell.cell_type == "markdown", cell.get("attachments"))

    def markdown(self, source: str, folder: str | Path, listed: bool = True, attachments: dict | None = None) -> str:
        """Render Markdown within the chapter at work; ``listed`` headings appear in the table of contents."""
        renderer = Renderer(self.chapter, self.whole, self.partly, listed, path=str(folder), attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)


def describe_pictures(notebook: nbformat.NotebookNode) -> None:
    """Give each code cell without a text for those who cannot see its pictures (``alt``) the text above it."""
    text = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"[*`]|\[(?=[^]]*\]\()|\]\([^)]*\)", "", cell.source.strip().split("\n\n")[-1])
        cell.metadata.setdefault("alt", " ".join(text.split()) or "Output of the code above")


def copies(plan: Plan, notebook: str) -> list[Path]:
    """List the executed copies of a notebook as it stands now, in the order of the plan's seeds."""
    return [path for path in map(Path, plan.outputs(notebook)) if path.is_file()]


def unfinished(plan: Plan, notebook: str) -> list[str]:
    """Say which runs of a notebook stopped, and which have not run; copies of those that stopped are in ``logs``."""
    said, wanted = {}, list(map(Path, plan.outputs(notebook)))
    if goes_beyond(notebook) and not plan.beyond:  # nobody asked for it
        return [] if any(path.is_file() for path in wanted) else [f"{notebook} goes beyond the paper: `make beyond`."]
    for log in (plan.executed / "logs" / path.name for path in wanted):
        if not log.is_file() or log.stat().st_size == 0:  # what Snakemake leaves after a success
            continue
        try:
            raised = [o for c in read_notebook(log).cells for o in c.get("outputs", []) if o.output_type == "error"]
        except errors.UserError:
            raised = []  # killed while it was written
        reason = f"stopped with {raised[0].ename}: {raised[0].evalue[:200]}" if raised else "did not finish"
        said[log.stem] = f"{log.stem} {reason}. As far as it ran: {paths.shown(log)}"
    for path in wanted:
        if path.stem not in said and not path.is_file():
            which = path.stem.rpartition("-")[0]
            earlier = any(plan.executed.glob(f"{which}-????????.ipynb"))
            said[path.stem] = f"{which} has not run" + (" since something that makes it changed." if earlier else ".")
    return [said[stem] for stem in sorted(said)]


def bind(plan: Plan) -> tuple[Path, list[str]]:
    """Write ``results/<profile>/book.html`` from what has been executed, and the cards beside it.

    Args:
        plan: whose executed notebooks are bound; of each the first seed's that exists is shown, the others are named.

    Returns:
        The file, and a sentence for each thing that is missing or wrong in it.

    Raises:
        UserError: nothing has been executed in this profile.
    """
    profile, folder = plan.profile, paths.home() / "notebooks"
    root = paths.results_root() / profile
    pages, missing, others = {}, [], []
    for path in sorted(folder.glob("*.ipynb")):
        found = copies(plan, path.stem)
        missing += unfinished(plan, path.stem)
        others += map(paths.shown, found[1:])
        pages[path.stem] = read_notebook(found[0]) if found else missing_page(path)
    absent = {key for key, page in pages.items() if isinstance(page, str)}
    if absent == pages.keys():
        raise errors.UserError(
            f"Nothing has been executed in {plan.executed}. Run the notebooks: make reproduce PROFILE={profile}."
        )
    written = [path for path in (*cards.write(profile), folder / GLOSSARY) if path.is_file()]
    further = {path.stem: path.read_text(encoding="utf-8") for path in written}
    facts = {
        "profile": profile,
        "date": datetime.date.today().strftime("%-d %B %Y"),
        "missing": [re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(line)) for line in missing],
        "others": others,
        "picture": latest_picture(root),
        "pages": {key: text.splitlines()[0].lstrip("# ") for key, text in further.items()},
        **cards.facts(profile),
    }
    front = templates.render(TEMPLATES / "front.md.j2", **facts)
    chapters = render({FRONT: front, **pages, **further}, absent, folder)
    colours, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    page = templates.render(
        TEMPLATES / "book.html.j2", chapters=chapters, profile=profile, colours=colours, dark_colours=dark
    )
    return files.write_text(root / "book.html", page), missing + problems(page)


def latest_picture(root: Path) -> str:
    """Return the last picture of predicted regions that a profile's runs left, as a data address, or an empty text."""
    found = sorted(root.glob("06_results_figures/*/figures/segmentation.png"), key=lambda path: path.stat().st_mtime)
    return f"data:image/png;base64,{base64.b64encode(found[-1].read_bytes()).decode()}" if found else ""


def missing_page(path: Path) -> str:
    """Return the page for a notebook that is not in the book."""
    title = read_notebook(path).cells[0].source.splitlines()[0]
    return f"{title}\n\nThis notebook is not in the book. The [first page]({FRONT}.md) says why.\n"


def render(pages: dict[str, str | nbformat.NotebookNode], absent: set[str], folder: Path) -> list[Chapter]:
    """Render notebooks and Markdown pages, by key, to chapters whose links meet each other.

    Args:
        pages: in reading order.
        absent: keys of the pages that stand for a missing notebook.
        folder: of the pictures named in the text.
    """
    exporter = Exporter(pages.keys() - absent, absent)
    return [exporter.chapter_of(key, page, folder) for key, page in pages.items()]


class Checker(HTMLParser):
    """Notes what a page loads, its anchors and the links to them."""

    def __init__(self, page: str):
        super().__init__()
        self.anchors, self.links, self.loaded, self.inside = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses in one tag."""
        found = {name: value or "" for name, value in attrs}
        self.inside = tag
        self.anchors += [value for name, value in found.items() if name == "id"]
        addresses = [found[name] for name in ("src", "href", "data", "poster", "srcset") if name in found]
        if tag == "a":
            self.links += addresses
        else:
            self.loaded += addresses
        self.handle_data(found.get("style", ""), "style")

    def handle_data(self, data: str, inside: str = "") -> None:
        """Note the addresses in styles."""
        if (inside or self.inside) == "style":
            self.loaded += re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", data)


def problems(page: str) -> list[str]:
    """Say what an HTML page would load from elsewhere, which links lead nowhere and which anchors stand twice."""
    found = Checker(page)
    said = [f"The book would load {a[:100]}." for a in found.loaded if not a.startswith(("data:", "#"))]
    for link in found.links:
        if link.startswith("#") and unquote(link[1:]) not in found.anchors:
            said.append(f"The link {link} leads nowhere.")
        elif not re.match(r"#|https?:|mailto:", link):
            said.append(f"The link {link} leads out of the book.")
    return said + [f"The anchor {a} stands {n} times." for a, n in Counter(found.anchors).items() if n > 1]


def summary(path: Path, remarks: list[str]) -> str:
    """Return where the book is, its size and what is wrong with it."""
    size = path.stat().st_size / 1e6
    return "\n".join([f"Book:                {short_path(path)} ({size:.1f} MB)", *(f"  {line}" for line in remarks)])
