"""Reads label and patient tables as spreadsheets write them, and joins them with the slices.

A table is read where its meaning is certain. Otherwise it is named with the row in question and what to write instead.
"""

import csv
import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stroke_utils.base import errors, vocabulary
from stroke_utils.data.layouts import Problems, SliceFile, stem

# Header words of label and patient tables, in plain form without spaces and question marks.
_HEADERS = {
    "id": (
        *("imageid", "sliceid", "imagename", "imageno", "imagefile", "imagepath", "image", "slicename", "slice"),
        *("goruntuid", "goruntuadi", "goruntuno", "goruntu", "kesitid", "kesit", "resimid", "resimadi", "resim"),
        *("filename", "filepath", "file", "path", "dosyaadi", "dosya", "name", "id"),
    ),
    "stroke": ("inmevarmi", "nmevarmi", "nmevarm", "stroke", "inme", "inmevar", "hasstroke", "isstroke"),
    "patient": (
        *("patient", "patientid", "patientno", "patientnumber", "patientname", "subject", "subjectid", "hasta"),
        *("hastaid", "hastano", "hastanumarasi", "hastakodu"),
    ),
}
_ANY_ID = _HEADERS["id"][-8:]  # may name anything; slices where most of the names below are
_VALUES = {
    **dict.fromkeys(("0", "false", "no", "yok", "hayir", "negative", "negatif"), "0"),
    **dict.fromkeys(("1", "true", "yes", "var", "evet", "positive", "pozitif"), "1"),
}
_NO_PATIENT = {"-", "?", "na", "n/a", "nan", "none", "null", "unknown", "bilinmiyor"}  # what stands in an empty cell
_AS_TEXT = re.compile(r"'(.*)|=\"(.*)\"")  # how people make a spreadsheet take a number for text
_WRITE = "write a table of two columns with the first line image_id,Stroke and then lines such as 10300,0"
_OTHER_SUFFIX = re.compile(r"\.(jpe?g|tiff?|bmp|ima|dicom|nii)$", re.IGNORECASE)
_ROUNDED = re.compile(r"\d([.,]\d+)?e\+?\d+", re.IGNORECASE)
_NO_HEADER = re.compile(r"(\S+?)[\s,;|]+([01])\s*")
_ANSWERS = re.compile(r"cevap|answer|asama ?1")  # in the name of an official list, which may lack a header
_TITLES = 10  # lines that may stand above the header
_LARGEST_TABLE = 5_000_000  # bytes; the organiser's largest label file has 0.2 MB
_LARGEST_INSIDE = 100_000_000  # bytes that a workbook may unpack to
csv.field_size_limit(_LARGEST_TABLE)  # a long cell is no reason to stop reading

WORKBOOKS = (".xlsx", ".xlsm")
"""Endings of workbooks that are read."""

OTHER_BOOKS = (".xls", ".ods", ".numbers")
"""Endings of spreadsheets that are not read, and named."""


class TableError(ValueError):
    """A table's meaning is not certain. The message says where, and what to write instead.

    ``ids`` are what it may name; None where they can't be read.
    """

    def __init__(self, message: str, ids: list[str] | None = None):
        super().__init__(message)
        self.ids = ids


@dataclass
class Table:
    """One table.

    Attributes:
        rows: (number of the row in the file, id as written, stroke as written or None, patient or None).
        columns: of "id", "stroke", "patient" those that it has.
        headed: whether it has a header; one without speaks last.
        surely: whether its header says that the names are slices'.
        odd: what is wrong with single rows, as (row number, sentence).
    """

    rows: list[tuple[int, str, str | None, str | None]]
    columns: tuple[str, ...]
    headed: bool = True
    surely: bool = True
    odd: list[tuple[int, str]] = field(default_factory=list)


def read_table(path: Path) -> Table | None:
    """Read a text file or a workbook as a table of labels or patients; None where it is none.

    Raises:
        TableError: it looks like one and its meaning is not certain.
    """
    suffix = path.suffix.lower()
    if suffix in OTHER_BOOKS:
        raise TableError(f"A spreadsheet in the form {suffix} is not read: save it as .csv or .xlsx.")
    if suffix in WORKBOOKS:
        return _first(_sheets(path))
    text = _text(path)
    if not text or not text.strip():
        return None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    separator = re.fullmatch(r"sep=(.)", lines[0][1].strip().strip('"'))
    if separator:  # what spreadsheets write for one another
        lines = lines[1:]
    if lines and all(_NO_HEADER.fullmatch(line) for _, line in lines):
        pairs = ((number, _NO_HEADER.fullmatch(line)) for number, line in lines)
        return Table([(number, m[1], m[2], None) for number, m in pairs], ("id", "stroke"), headed=False)
    marks = [separator[1]] if separator else sorted("\t;,|", key=lambda mark: -lines[0][1].count(mark))
    candidates = [_split(lines, mark) for mark in marks]
    if len({len(line.split()) for _, line in lines}) == 1:  # as many words in each line: columns set apart by spaces
        candidates.append([(number, line.split()) for number, line in lines])
    return _first(candidates)


def _first(candidates: Iterable[list[tuple[int, list[str]]]]) -> Table | None:
    """Read the first of several ways to split a file, or of several sheets, that has a known header."""
    doubt = None
    for rows in candidates:
        try:
            table = _headed(rows)
        except TableError as error:
            doubt = doubt or error
            continue
        if table:
            return table
    if doubt:
        raise doubt
    return None


def _split(lines: list[tuple[int, str]], mark: str) -> list[tuple[int, list[str]]]:
    rows = csv.reader((line for _, line in lines), delimiter=mark, skipinitialspace=True)
    try:
        return [(number, row) for (number, _), row in zip(lines, rows, strict=False)]
    except csv.Error:
        return []


def _text(path: Path) -> str | None:
    """Read a text file in the encodings that tables come in; None where it can't be read or is no table."""
    try:
        if path.stat().st_size > _LARGEST_TABLE:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    start = data[:200]
    for nul, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # without their mark
        if len(start) > 3 and start[nul::2].count(0) > 0.8 * len(start[nul::2]) and 0 not in start[1 - nul :: 2]:
            return data.decode(encoding, "replace")
    data = data.rstrip(b"\0")  # of a recovered disk
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1254", "replace")


def _sheets(path: Path) -> Iterator[list[tuple[int, list[str]]]]:
    """Give each sheet of a workbook as numbered rows of text."""
    again = "Save it as .csv."
    try:
        import openpyxl
    except ImportError:
        raise TableError(f"A workbook needs the package openpyxl (`pip install openpyxl`). {again}") from None
    try:
        with zipfile.ZipFile(path) as inside:
            if sum(part.file_size for part in inside.infolist()) > _LARGEST_INSIDE:
                raise TableError(f"A workbook that unpacks to more than {_LARGEST_INSIDE:,} bytes. {again}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like that are not used here
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            rows = [enumerate(sheet.iter_rows(values_only=True), 1) for sheet in book.worksheets]
            sheets = [[(number, [*map(_cell, row)]) for number, row in sheet] for sheet in rows]
            book.close()
    except TableError:
        raise
    except Exception as error:  # of a file that anyone may have written
        raise TableError(f"Not a workbook that can be read ({errors.reason(error)}). {again}") from error
    yield from ([row for row in sheet if any(row[1])] for sheet in sheets)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _headed(rows: list[tuple[int, list[str]]]) -> Table | None:
    """Read rows below a header that is known; None where there is none.

    Raises:
        TableError: the header names slices and a column whose meaning is not certain.
    """
    for place, (number, header) in enumerate(rows[:_TITLES]):
        words = [re.sub(r"[^a-z0-9]", "", vocabulary.plain(name)) for name in header]
        columns = {name: words.index(w) for name, known in _HEADERS.items() for w in reversed(known) if w in words}
        if "id" not in columns:
            continue
        if "stroke" in columns or "patient" in columns:
            _require_one_meaning(number, header, words, rows[place + 1 :], columns)
            table = _below(rows[place + 1 :], columns, len(header))
            table.surely = words[columns["id"]] not in _ANY_ID
            return table
        if columns and len([w for w in words if w]) > 1 and all(re.search("[a-z]", w) for w in words if w):
            others = [name.strip() for name, w in zip(header, words, strict=True) if w and w not in _HEADERS["id"]]
            raise TableError(
                f"Row {number} names slices ({header[columns['id']].strip()!r}), and of the other columns none surely "
                f"says stroke or patient ({', '.join(map(repr, others[:5]))}). If one does, call it Stroke (1 stroke, "
                "0 none) or patient.",
                _cells(rows[place + 1 :], columns["id"]),
            )
    return None


def _cells(rows: list[tuple[int, list[str]]], column: int) -> list[str]:
    return [_bare(row[column]) for _, row in rows if len(row) > column]


def _bare(cell: str) -> str:
    """Return a cell without spaces and without what marks it as text."""
    marked = _AS_TEXT.fullmatch(cell := cell.strip())
    return (marked[1] or marked[2] or "").strip() if marked else cell


def _require_one_meaning(
    number: int, header: list[str], words: list[str], rows: list[tuple[int, list[str]]], columns: dict[str, int]
) -> None:
    """Refuse a header under which a column may mean another thing than its name says.

    Raises:
        TableError: two columns say stroke and differ, or one called ``hasta``, which is "patient" and "ill", has 0 and
            1 alone.
    """
    ids, strokes = _cells(rows, columns["id"]), [i for i, word in enumerate(words) if word in _HEADERS["stroke"]]
    for below, row in rows:
        if len({value(_bare(row[i])) for i in strokes if i < len(row)}) > 1:
            names = " and ".join(repr(header[i].strip()) for i in strokes)
            raise TableError(f"Row {number} names columns {names}, and in row {below} they differ: keep one.", ids)
    if "stroke" in columns or words[columns["patient"]] != "hasta":
        return
    if {value(cell) for cell in _cells(rows, columns["patient"])} <= {"0", "1"}:
        said = "'Hasta' is 'patient' or 'ill', and the column has 0 and 1 alone"
        raise TableError(f"Row {number}: {said}. Call it Stroke (1 stroke, 0 none) or patient.", ids)


def _below(rows: list[tuple[int, list[str]]], columns: dict[str, int], width: int) -> Table:
    """Read the rows below a header. A row too short for a column in use is odd; so is a longer one that shifts it."""
    table = Table([], tuple(columns))
    for number, row in rows:
        row = [*map(_bare, row)]
        if not any(row):
            continue
        cells = {name: row[i] if i < len(row) else None for name, i in columns.items()}
        label = cells.get("stroke")
        if not cells["id"] or any(cell is None for cell in cells.values()):
            table.odd.append((number, f"{','.join(row)[:80]!r} has {len(row)} cells, expected {width}"))
        elif any(row[width:]) and label is not None and value(label) is None:
            table.odd.append(
                (number, f"{','.join(row)[:80]!r} has {len(row)} cells, expected {width}: quote the commas")
            )
        else:
            table.rows.append((number, cells["id"], label, cells.get("patient")))
    return table


def value(written: str) -> str | None:
    """Return "0" or "1" for a label as people and spreadsheets write it; None where it is neither."""
    plain = vocabulary.plain(re.sub(r"^\s*([01])[.,]0+\s*$", r"\1", written))
    return _VALUES.get(plain)


class Ids:
    """Finds the slice that an id in a table means: as written, as a path, or as a spreadsheet changed it."""

    def __init__(self, originals: list[SliceFile], problems: Problems):
        self.present = {f.slice_id for f in originals}
        self._stems, self._numbers, self._paths = defaultdict(set), defaultdict(set), {}
        for file in originals:
            path = problems.sources.get(file.path, file.path)
            self._stems[stem(path.name)].add(file.slice_id)
            self._paths[file.slice_id] = [stem(part) for part in path.relative_to(problems.root).parts]
        self._folders = {folder for path in self._paths.values() for folder in path[:-1]}
        for slice_id in self.present:
            if slice_id.isdecimal() and len(slice_id) < 20:
                self._numbers[int(slice_id)].add(slice_id)

    def find(self, written: str) -> tuple[str | None, str]:
        """Give the slice's id, None where no slice is meant for sure, and in words how an odd id was read."""
        plain = stem(written)
        if plain in self.present:
            return plain, ""
        parts = [stem(part) for part in re.split(r"[\\/]+", written) if part not in ("", ".", "..")]
        name = parts[-1] if parts else plain
        shared = len(self._stems.get(name, ())) > 1  # then only the folders tell
        if name in self.present and not shared and (len(parts) > 1 or name == plain):
            return name, "paths"
        if (found := self._by_folders(parts)) or shared:
            return found, "folders and names" if found else ""
        if (other := _OTHER_SUFFIX.sub("", name)) != name and other in self.present:
            return other, "names of other files"
        for pattern, how in (
            (r"(\d+)[.,]0+", "numbers with decimals"),
            (r"\d{1,3}([.,]\d{3})+", "numbers in thousands"),
        ):
            if found := re.fullmatch(pattern, name):
                number = found[1] if how.endswith("decimals") else re.sub(r"[.,]", "", name)
                if number in self.present:
                    return number, how
                name = number if how.endswith("decimals") else name
        if name.isdecimal() and len(name) < 20 and len(same := self._numbers.get(int(name), set())) == 1:
            return next(iter(same)), "numbers without their leading zeros"
        return None, ""

    def _by_folders(self, parts: list[str]) -> str | None:
        """Find a slice whose name begins anew in each folder by the folders that an id names."""
        meant = self._stems.get(parts[-1], set()) if parts else set()
        if len(meant) > 1:
            folders = self._folders.intersection(parts[:-1])  # a path may begin above the data
            meant = {i for i in meant if folders and folders <= {*self._paths[i]}}
        return next(iter(meant)) if len(meant) == 1 else None


class LabelTables:
    """Stroke / none and patient by slice id, from every table under the root that is understood."""

    def __init__(self, paths: list[Path], originals: list[SliceFile], problems: Problems):
        self.stroke: dict[str, int] = {}
        self.patient: dict[str, str] = {}
        self.unknown: list[Path] = []
        self.refused: list[Path] = []
        self._ids, self._problems = Ids(originals, problems), problems
        self._session1 = {f.slice_id for f in originals if f.part == "session1"}
        tables = []
        for path in paths:
            try:
                table = read_table(path)
            except TableError as error:
                if error.ids is None or any(self._ids.find(written)[0] for written in error.ids):
                    self._refuse(path, str(error))
                else:
                    self.unknown.append(path)
                continue
            found = [self._ids.find(row[1]) for row in table.rows] if table else []
            if table is None or not (table.surely or _known(found)):
                self.unknown.append(path)
            elif not table.surely and 2 * _known(found) < len(found):
                why = (
                    f"Only {_known(found)} of its {len(found)} names are slices here, so what it lists is not certain."
                )
                self._refuse(path, f"{why} If it lists slices, call that column image_id.")
            else:
                tables.append((path, table, found))
        # A file that names more of the slices speaks first, so that an example with made-up ids never overrules; one
        # without a header speaks last.
        for path, table, found in sorted(tables, key=lambda t: (not t[1].headed, -_known(t[2]), str(t[0]))):
            if table.headed or self._is_answer_file(path, found):
                self._take(path, table, found)

    def _refuse(self, path: Path, why: str) -> None:
        self.refused.append(path)
        self._problems.add("table_not_read", path, why, False)

    def _is_answer_file(self, path: Path, found: list[tuple[str | None, str]]) -> bool:
        """Tell whether a list without a header holds the answers of session 1, and say why it does not."""
        ids = {i for i, _ in found if i}
        named = _ANSWERS.search(vocabulary.plain(path.stem))
        if not ids or (named and ids <= self._session1):
            return bool(named)
        why = "its name says no answers" if not named else "it names slices that are not of session 1"
        self._refuse(
            path,
            f"A list of names and 0 or 1 without a header, {len(ids)} of them slices here, and {why}: what the numbers "
            f"mean is not certain. If they are the answers of session 1, {_WRITE}.",
        )
        return False

    def _take(self, path: Path, table: Table, found: list[tuple[str | None, str]]) -> None:
        problems, slices = self._problems, [i for i, _ in found]
        if table.odd:
            number, what = table.odd[0]
            detail = f"{len(table.odd)} rows can't be read (first: row {number}, {what}). They are ignored."
            problems.add("bad_row", path, detail, True, len(table.odd))
        for how in dict.fromkeys(how for _, how in found if how):
            row, meant = next((row, i) for row, (i, h) in zip(table.rows, found, strict=True) if h == how)
            detail = f"Ids are written as {how}: {row[1]!r} is read as slice {meant}."
            problems.add("ids_rewritten", path, detail, True)
        if "patient" in table.columns:
            for slice_id, (_, _, _, patient) in zip(slices, table.rows, strict=True):
                if slice_id and patient and patient.lower() not in _NO_PATIENT:
                    self.patient.setdefault(slice_id, patient)
        if "stroke" in table.columns:
            self._take_labels(path, table, slices)
        elif not any(slices) and table.rows:
            detail = f"None of its {len(table.rows)} ids has a usable slice here (first: {table.rows[0][1]})."
            problems.add("patient_without_slice", path, detail, True)

    def _take_labels(self, path: Path, table: Table, slices: list[str | None]) -> None:
        problems, valid = self._problems, [value(row[2]) for row in table.rows]
        wrong = [row for row, label in zip(table.rows, valid, strict=True) if label is None]
        if wrong:
            number, first, label, _ = wrong[0]
            detail = (
                f"{len(wrong)} labels are neither 0 nor 1 (first: row {number}, id {first!r}, {label!r}). They are "
                "ignored; write 1 for stroke and 0 for none."
            )
            problems.add("bad_label", path, detail, True)
        known = [(row, i, int(v)) for row, i, v in zip(table.rows, slices, valid, strict=True) if v is not None]
        absent = [row[1] for row, slice_id, _ in known if slice_id is None]
        if absent:
            detail = f"{len(absent)} of {len(known)} ids have no usable slice here (first: {', '.join(absent[:3])})."
            if any(map(_ROUNDED.fullmatch, absent)):
                detail += " A spreadsheet rounded them: give the column the format of whole numbers and save it again."
            problems.add("label_without_slice", path, detail, True)
        differing = [i for _, i, label in known if i is not None and self.stroke.setdefault(i, label) != label]
        if differing:
            detail = f"{len(differing)} ids had another label before (first: {differing[0]}); the first value stays."
            problems.add("labels_disagree", path, detail, True)


def _known(found: list[tuple[str | None, str]]) -> int:
    return len({slice_id for slice_id, _ in found if slice_id})
