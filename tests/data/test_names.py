"""What folders' names say, in whole words and with negation."""

import pytest

from stroke_utils.data.names import kind_of, read_names, words_of


@pytest.mark.parametrize(
    "label, names",
    [
        (
            "none",
            "No_Hemorrhage|NoHemorrhage|nohemorrhage|NON-HEMORRHAGIC|Hemorrhage_Negative|without bleeding|Kanama Yok|"
            "no acute intracranial hemorrhage|KanamaYok|kanamasız|inmesiz|kanama olmayan|İskemi değil|stroke-free|"
            "Kanama bulgusu yok|no ischemia no hemorrhage|Normal (no hemorrhage)|Kontur Yok Diğer Veri Seti|INMEYOK|"
            "Kontur_Yok|inmeyok3|İnme Yok_kronik süreç_diğer Veri Set_PNG|Hemorrhage/Negative|İnme/Yok|No/Hemorrhage|"
            "iskemi3/İnme Yok Veri Set_PNG|Sağlıklı|NormalCT|non_contrast/normal|Kanama Olmayanlar|Kanama görülmeyen|"
            "Kanama saptanmadı|kanama tespit edilmedi|İskemi Bulunmayanlar|inme geçirmemiş|kanamasızlar|İnmesizler|"
            "Hemorrhage (-)|Hemorrhage_None|Hemorrhage/None|Kanama/Hayır|Hemorrhage_False|Kanama Negatifler|"
            "hemorrhage negatives|never stroke|None|none/PNG|None (1)",
        ),
        (
            "hemorrhage",
            "Hemorrhagic|hemorrhagic stroke|No_contrast_hemorrhage|Hemorrhage_no_contrast|KanamaVeriSeti|Bleeding (1)|"
            "Hemorrhage/normalized|Hemorrhage/patient no 5|Hemorrhage/no overlay|Kanama Var|haemorrhage|"
            "Hemorrhage (+)|Hemorrhage/Contrast_None|None contrast/Hemorrhage|kontrastsız kanama",
        ),
        ("ischemia", "Iskemik Veri Seti|İskemik İnme|ISKEMi|İSKEMİ|iskemi3|Ischaemic"),
        ("stroke", "Stroke (1)|İnme Var|stroke data/Stroke|Stroke - Kopya"),
    ],
)
def test_a_class_is_read_from_whole_words(label, names):
    for name in names.split("|"):
        place = read_names(tuple(name.split("/")))
        assert (place.part, place.label, place.doubt) == ("train", label, ""), name
        assert place.words and place.depth, name


DOUBTFUL = (
    "abnormal|Anormal|Not Normal|Normal Değil|NORMAL DEĞİL|normal olmayan|unhealthy|sağlıksız|Ischemia_Hemorrhage|"
    "İskemi ve Kanama|Normal_vs_Stroke|strokenormal|Non-hemorrhagic stroke|all except hemorrhage|İskemi hariç|"
    "Hemorrhage ruled out|Hemorrhage removed|Kanama dışındakiler|Kanama yoksa|Normal görülmeyen|Hemorrhage unlikely|"
    "no ischemia or hemorrhage|Hemorrhage no|Hemorrhage/No|Ischemia_Hemorrhage/patient1|Normal De\ufffdil"
)


@pytest.mark.parametrize("name", DOUBTFUL.split("|"))
def test_a_name_that_can_be_read_in_two_ways_is_in_doubt(name):
    place = read_names(tuple(name.split("/")))
    assert place.part is None and place.label is None and place.doubt and place.words


@pytest.mark.parametrize(
    "name", ["posthemorrhage", "İNME VERİ SETİ", "Brain Stroke CT", "No contrast", "Contrast none", ""]
)
def test_other_names_say_nothing(name):
    place = read_names((name,))
    assert (place.part, place.label, place.doubt) == (None, None, "")


@pytest.mark.parametrize(
    "part, names",
    [
        ("session1", "Oturum 1|Oturum_1|oturum1|1. Oturum|1.Aşama|First Session|session-1|YARIŞMA_1|Birinci Oturum"),
        ("session1", "Session_01|1st session|External_Test (1)|External Test Set|External_Test - Kopya"),
        ("session2", "Oturum 02|2nd session"),
        ("session2", "Oturum 2|Oturum_2|2_Oturum|Aşama 2|ikinci oturum|YarısmaVeriSeti_2_Oturum"),
        (None, "Session 12|oturum 2021|yarisma 2021"),
    ],
)
def test_sessions_by_either_order_of_their_words(part, names):
    assert {name: read_names((name, "PNG")).part for name in names.split("|")} == dict.fromkeys(names.split("|"), part)


def test_the_kind_of_files_by_whole_words():
    names = {"OVERLAYS": "overlay", "PNG (1)": "png", "Overlay_PNG": "overlay", "MASKS - Kopya": "mask", "DCM": "dicom"}
    names |= {"Dicom files": "dicom", "DICOM_PNG": None, "images": None, "Overlay masks": None, "mask off": None}
    assert {name: kind_of(name) for name in names} == names
    assert read_names(("Ischemia", "OVERLAYS")).kind == "overlay"


def test_a_lost_letter_does_not_lose_a_negation():
    for garbled in ("Normal Değil".encode().decode("cp437"), "Normal Değil".encode("cp1254").decode("cp1252")):
        assert read_names((garbled,)).doubt
    assert read_names(("İskemi Değil".encode().decode("cp437"),)).label != "ischemia"
    assert read_names(("Kanama Dışında".encode().decode("cp437"),)).doubt


def test_a_patients_session_is_no_session_of_the_competition():
    place = read_names(("Hemorrhage", "patient 7", "session 1", "PNG"))
    assert place.part is None and "of one patient of hemorrhage" in place.doubt
    assert read_names(("İskemi Veri Seti", "YarısmaVeriSeti_1.Oturum")).part == "session1", "unpacked one in the other"
    assert read_names(("Stroke", "Session 2")).part == "session2"
    assert read_names(("patient 1 session 3",)).part is None


def test_words_fall_apart_only_where_all_are_known():
    assert words_of("NoAcuteHemorrhage") == ["no", "acute", "hemorrhage"]
    assert words_of("kanamasız") == ["kanama", "yok"] and words_of("nonsense") == ["nonsense"]
