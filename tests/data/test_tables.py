"""Tables as spreadsheets write them: read where the meaning is certain, else named with the row."""

import re
import sys
import types
from pathlib import Path

import pytest

from stroke_utils.data import tables
from stroke_utils.data.layouts import Problems, SliceFile

GOOD = (("10300", 0), ("10301", 1), ("10302", 0), ("10303", 1))
ANSWERS = {slice_id: label for slice_id, label in GOOD}


def originals(root, ids=tuple(ANSWERS), part="session1"):
    return [SliceFile(root / part / "PNG" / f"{i}.png", "png", part, None, i) for i in ids]


def read(root, content, name="labels.csv", files=None):
    """Read one table beside session 1; gives the labels and the problems by kind."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = Problems(root)
    found = tables.LabelTables([path], originals(root) if files is None else files, problems)
    return found, problems.table().set_index("kind")["detail"].to_dict()


def lines(pattern, header, end="\r\n"):
    return header + end + "".join(pattern.format(id=i, y=y) + end for i, y in GOOD)


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\n" + lines("{id};{y}", "image_id;Stroke"),
        '"sep=;"\r\n' + lines("{id};{y}", "image_id;Stroke"),
        "sep=^\r\n" + lines("{id}^{y}", "image_id^Stroke"),
        lines("{id}|{y}", "Image Id | İnme Var mı?"),
        lines('"{id}","{y}"', '"image_id","Stroke"').encode("utf-8-sig"),
        lines("{id}\t{y}", "image_id\tStroke").encode("utf-16-le"),
        lines("{id}\t{y}", "image_id\tStroke").encode("utf-16-be"),
        lines("{id},{y}", "image_id,Stroke").encode() + b"\0" * 300,
        "Yarışma cevapları;;\r\n;;\r\n" + lines("{id};{y};", "image_id;Stroke;"),
        "image_id,Stroke,comment\n10300,0\n10301,1,sure\n10302,0,\n10303,1,sure, really\n",
        "image_id,Stroke\n10300,False\n10301,True\n10302,yok\n10303,var\n",
        "image_id  Stroke\n10300 0\n10301  1\n10302 0\n10303 1\n",
        "id,stroke\n10300,0\n10301,1\n10302,0\n10303,1\n",
        "Dosya Adı;İnme\n10300;hayır\n10301;evet\n10302;hayır\n10303;evet\n",
        "image_id;Stroke;İnme Var mı?\n10300;0;hayır\n10301;1;evet\n10302;0;hayır\n10303;1;evet\n",
        'image_id;Stroke\n\'10300;0\n="10301";\'1\n"=""10302""";0\n10303;="1"\n',
        "image_id;Stroke\n10300;0,0\n10301;1,0\n10302;0,0\n10303;1,0\n",
    ],
)
def test_a_table_is_read_where_its_meaning_is_certain(tmp_path, content):
    found, said = read(tmp_path, content)
    assert found.stroke == ANSWERS and said == {}


@pytest.mark.parametrize(
    "pattern, how",
    [
        ("{id}.0", "numbers with decimals"),
        ("session1/PNG/{id}.png", "paths"),
        ("C:\\veri\\PNG\\{id}.png", "paths"),
        ("{id}.jpg", "names of other files"),
    ],
)
def test_ids_that_a_program_rewrote_are_read_and_said(tmp_path, pattern, how):
    found, said = read(tmp_path, lines(pattern + ",{y}", "image_id,Stroke"))
    assert found.stroke == ANSWERS and list(said) == ["ids_rewritten"] and how in said["ids_rewritten"]
    assert "is read as slice 10300" in said["ids_rewritten"]


def test_thousands_and_lost_zeros(tmp_path):
    found, said = read(tmp_path, "image_id;Stroke\n10.300;0\n10.301;1\n10.302;0\n10.303;1\n")
    assert found.stroke == ANSWERS and "numbers in thousands" in said["ids_rewritten"]
    found, said = read(tmp_path, "image_id,Stroke\n300,0\n7,1\n", files=originals(tmp_path, ("00300", "007", "0007")))
    assert found.stroke == {"00300": 0}, "7 may be either"
    assert "1 of 2 ids have no usable slice" in said["label_without_slice"]


def test_an_id_with_folders_finds_a_slice_whose_name_begins_anew(tmp_path):
    files = [
        SliceFile(tmp_path / "session1" / patient / "1.png", "png", "session1", None, f"{patient}-1")
        for patient in ("049", "050")
    ]
    found, said = read(tmp_path, "image_id,Stroke\n049/1.png,1\nsession1/050/1.png,0\n1.png,1\n", files=files)
    assert found.stroke == {"049-1": 1, "050-1": 0} and "folders and names" in said["ids_rewritten"]
    assert "1 of 3 ids have no usable slice here (first: 1.png)" in said["label_without_slice"]


def test_folders_tell_which_of_two_slices_of_one_name_a_path_means(tmp_path):
    files = [
        SliceFile(tmp_path / "train" / "Normal" / "1.png", "png", "train", "none", "train-1"),
        SliceFile(tmp_path / "session1" / "PNG" / "1.png", "png", "session1", None, "1"),
    ]
    content = "image_id,Stroke\ntrain/Normal/1.png,0\nC:\\veri\\session1\\PNG\\1.png,1\nother/1.png,0\n"
    found, said = read(tmp_path, content, files=files)
    assert found.stroke == {"train-1": 0, "1": 1} and "first: other/1.png" in said["label_without_slice"]


@pytest.mark.parametrize(
    "content, kind, words",
    [
        (lines("{id}.png,{y}", "filename,label"), "table_not_read", "Row 1 names slices .'filename'.*'label'.*Stroke"),
        (lines("{id}, {y}", "id, hemorrhage"), "table_not_read", "'hemorrhage'.*call it Stroke"),
        ("id,stroke\n10300,1\n7,1\n8,1\n", "table_not_read", "Only 1 of its 3 names are slices here"),
        (
            "image_id,Stroke,stroke\n10301,1,1\n10300,1,0\n",
            "table_not_read",
            "'Stroke' and 'stroke'.*row 3 they differ",
        ),
        ("image_id,Hasta\n10300,1\n10301,0\n", "table_not_read", "'patient' or 'ill'.*Call it Stroke"),
        ("image_id,Stroke\n10300\n10301,1\n", "bad_row", "row 2, '10300' has 1 cells, expected 2"),
        ("image_id,Stroke,x\n10301,1,2\na,b,10300,0\n", "bad_row", "row 3, 'a,b,10300,0' has 4 cells.*quote"),
        ("image_id,Stroke\n10300,2\n", "bad_label", "row 2, id '10300', '2'.*write 1 for stroke"),
        ("image_id,Stroke\n1.03E+04,1\n", "label_without_slice", "spreadsheet rounded them"),
    ],
)
def test_what_is_not_certain_is_named_with_the_row_and_what_to_write(tmp_path, content, kind, words):
    found, said = read(tmp_path, content)
    assert "10300" not in found.stroke
    assert re.search(words, said[kind]), said


def test_a_list_without_header_is_no_answer_file_and_never_overrules(tmp_path):
    listed = "".join(f"{i} {1 - y}\n" for i, y in GOOD)
    found, said = read(tmp_path, listed, "train.txt")
    assert found.stroke == {} and "its name says no answers" in said["table_not_read"] and found.refused
    assert "image_id,Stroke" in said["table_not_read"]
    assert read(tmp_path, listed, "ASAMA1_Cevaplar.txt")[0].stroke == {i: 1 - y for i, y in GOOD}
    assert read(tmp_path, "sep=;\n10300;1\n", "ASAMA1_Cevaplar.csv")[0].stroke == {"10300": 1}
    more = [*originals(tmp_path), *originals(tmp_path, ("10100",), "train")]
    found, said = read(tmp_path, listed + "10100 1\n", "answers.txt", more)
    assert found.stroke == {} and "not of session 1" in said["table_not_read"]
    official, other = tmp_path / "x" / "z.csv", tmp_path / "x" / "answers.txt"
    official.parent.mkdir()
    official.write_text("image_id,Stroke\n10300,0\n")
    other.write_text(listed)
    both = tables.LabelTables([other, official], originals(tmp_path), Problems(tmp_path))
    assert both.stroke["10300"] == 0 and both.stroke["10301"] == 0, "it speaks last, of what no other names"


def test_yolo_labels_and_notes_are_no_tables(tmp_path):
    for content in (
        "image_id is the name, Stroke is 1\nor 0\n",
        "0 0.5 0.5 0.2 0.2\n",
        "The name, then the file: see the site.\n",
        "",
    ):
        found, said = read(tmp_path, content, "10300.txt")
        assert found.stroke == {} and said == {}


@pytest.mark.parametrize(
    "header", ["ImageID,PatientID", "slice_id,patient", "image;Hasta No", "Image Id,Subject ID", "image_id,Hasta"]
)
def test_patients_under_other_headers(tmp_path, header):
    mark = ";" if ";" in header else ","
    found, said = read(tmp_path, f"{header}\n10300{mark}P1\n10301{mark}P2\n", "patients.csv")
    assert found.patient == {"10300": "P1", "10301": "P2"} and said == {}


def test_what_stands_in_an_empty_cell_is_no_patient(tmp_path):
    found, _ = read(tmp_path, "image_id,patient\n10300,N/A\n10301,0\n10302,unknown\n10303,?\n", "patients.csv")
    assert found.patient == {"10301": "0"}


def test_a_workbook_is_read_by_openpyxl(tmp_path, monkeypatch):
    """The package stands in for itself where it is installed; what it hands on is what is tested."""
    sheets = [[("Cevaplar", None)], [(None, None), ("Image Id", "İnme Var mı?"), *((float(i), y) for i, y in GOOD)]]
    pages = [types.SimpleNamespace(iter_rows=lambda values_only, rows=rows: iter(rows)) for rows in sheets]
    book = types.SimpleNamespace(worksheets=pages, close=lambda: None)
    fake = types.SimpleNamespace(load_workbook=lambda path, read_only, data_only: book)
    monkeypatch.setitem(sys.modules, "openpyxl", fake)
    empty_archive = b"PK\x05\x06" + bytes(18)
    found, said = read(tmp_path, empty_archive, "ASAMA1_Cevaplar.xlsx")
    assert found.stroke == ANSWERS and said == {}


def test_workbooks_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    assert "Save it as .csv" in read(tmp_path, b"PK", "labels.xlsx")[1]["table_not_read"]
    assert "form .xls is not read" in read(tmp_path, b"\xd0\xcf\x11\xe0", "labels.xls")[1]["table_not_read"]
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    found, said = read(tmp_path, b"PK", "labels.xlsx")
    assert "needs the package openpyxl" in said["table_not_read"] and found.refused == [Path(tmp_path, "labels.xlsx")]
