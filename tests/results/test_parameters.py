"""The table of parameters, and what is made of it: types, ranges, choices, messages, files, roles."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stroke_utils.base import identity, paths, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.course.plan import make_plan
from stroke_utils.results import parameters
from stroke_utils.results.parameters import TABLE

ROOT = Path(__file__).resolve().parents[2]
DETECTION, SEGMENTATION = "03_phase1_detection", "05_segmentation"


def notebooks():
    return sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_every_row_is_whole_and_of_some_notebook(row):
    assert row.role in parameters.ROLES
    ends = [(low, high) for _, low, high in row.parts] or [(row.low, row.high)]
    for low, high in ends:
        assert (low is None) == (high is None) == (row.kind in (str, bool)), "a number needs both ends"
    assert row.many or not row.parts
    here = [stem for stem in notebooks() if row.name in vars(parameters.settings(stem))]
    assert here, "no notebook has it"
    for stem in here:
        assert row.help_in(stem) and row.expected(stem)
    for entry in (row.help, row.choices, row.multiple_of):
        assert not isinstance(entry, dict) or "" in entry, "notebooks of one's own need an entry"


def test_rows_have_different_names():
    assert len(TABLE) == len(parameters._ROWS)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("models", "cnn, resnet18", ["cnn", "resnet18"]),
        ("models", ("cnn",), ["cnn"]),
        ("models", "cnn", ["cnn"]),
        ("experiment_seeds", "0,1", [0, 1]),
        ("experiment_seeds", 2, [2]),
        ("experiment_seeds", "", []),
        ("experiment_seeds", [], []),
        ("dropout", 0, 0.0),
        ("learning_rate", "1e-4", 0.0001),  # what YAML makes of 1e-4
        ("data_dir", 2021, "2021"),  # what papermill makes of -p data_dir 2021
        ("data_dir", Path("/data"), "/data"),
        ("epochs", 3.0, 3),
        ("epochs", "3", 3),
        ("reuse", "true", True),
        ("reuse", "False", False),
        ("seed", 2**32 - 1, 2**32 - 1),
    ],
)
def test_values_are_read_in_the_type_of_the_table(name, value, expected):
    read = parameters.check(DETECTION, {name: value}, [name], "here")[name]
    assert read == expected and type(read) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", "many", "'epochs' is 'many'; expected a whole number from 1 to 10000."),
        ("epochs", 2.5, "'epochs' is 2.5; expected a whole number"),
        ("epochs", True, "'epochs' is True; expected a whole number"),
        ("epochs", None, "'epochs' is None; expected a whole number"),
        ("epochs", [3], r"'epochs' is \[3\]; expected a whole number"),
        ("epochs", 0, "'epochs' is 0; expected a whole number from 1 to 10000."),
        ("epochs", -3, "'epochs' is -3; expected"),
        ("epochs", 20_000, "'epochs' is 20000; expected"),
        ("epochs", "inf", "'epochs' is 'inf'; expected"),
        ("dropout", float("nan"), "'dropout' is nan; expected a number from 0 to 0.99."),
        ("dropout", 1.2, "'dropout' is 1.2; expected a number from 0 to 0.99."),
        ("reuse", 1, "'reuse' is 1; expected true or false."),
        ("reuse", "yes", "'reuse' is 'yes'; expected true or false."),
        ("data_dir", True, "'data_dir' is True; expected text."),
        ("data_dir", ["a"], r"'data_dir' is \['a'\]; expected text."),
        ("weights", None, "'weights' is None; expected text."),
        ("augmentation", "strnog", r"'augmentation' is 'strnog' \(did you mean 'strong'\?\); expected one of none, l"),
        ("models", [], "'models' is empty; expected one or more of cnn, resnet18, "),
        ("models", ["cnn", "cnn"], r"'models' is \['cnn', 'cnn'\]; expected nothing twice."),
        ("models", "resnet19, cnn, rnn", r"'models' has 'resnet19' \(did you mean 'resnet18'\?\), 'rnn'.*; expected"),
        (
            "experiment_seeds",
            [0, -1],
            "'experiment_seeds' has -1; expected whole numbers, comma-separated, each from 0",
        ),
    ],
)
def test_what_the_table_does_not_allow_is_refused(name, value, said):
    with pytest.raises(UserError, match=said):
        parameters.check(DETECTION, {name: value}, [name], "here")


LEAST = "expected 2 whole numbers, comma-separated: saturation from 1 to 255, value from 0 to 255."


@pytest.mark.parametrize("given", ["100,50", " 100 , 50 ", [100, 50], (100, 50.0), ["100", "50"]])
def test_a_list_whose_places_have_names_comes_as_list_or_text(given):
    read = parameters.check(SEGMENTATION, {"hsv_least": given}, ["hsv_least"], "here")["hsv_least"]
    assert read == [100, 50] and [type(number) for number in read] == [int, int]


@pytest.mark.parametrize("ends", [[1, 0], [255, 255]])
def test_each_place_has_its_own_ends_and_two_may_be_equal(ends):
    assert parameters.check(SEGMENTATION, {"hsv_least": ends}, ["hsv_least"], "here") == {"hsv_least": ends}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "'hsv_least' is empty; "),
        ([], "'hsv_least' is empty; "),
        (None, "'hsv_least' is None; "),
        (100, "'hsv_least' is 100; "),
        ("100", "'hsv_least' is '100'; "),
        ([100, 50, 3], "'hsv_least' is [100, 50, 3]; "),
        ([0, 0], "'hsv_least' has saturation 0; "),
        ("100,256", "'hsv_least' has value '256'; "),
        ([256, -1], "'hsv_least' has saturation 256, value -1; "),
        ([99.5, 50], "'hsv_least' has saturation 99.5; "),
        ("100,low", "'hsv_least' has value 'low'; "),
    ],
)
def test_what_a_place_does_not_allow_is_refused_by_its_name(given, said):
    with pytest.raises(UserError) as caught:
        parameters.check(SEGMENTATION, {"hsv_least": given}, ["hsv_least"], "here")
    assert str(caught.value).startswith(f"here: {said}{LEAST}")


def test_an_older_records_parameters_have_todays_names():
    old = {"seed": 0, "saturation": 120, "value": 60}
    assert parameters.of_today(old) == {"seed": 0, "hsv_least": [120, 60]}
    today = vars(parameters.settings(SEGMENTATION))
    assert parameters.of_today(today) == today
    assert parameters.of_today({"value": 60}) == {"value": 60}, "half of a rule is none"


def test_choices_and_ranges_may_depend_on_the_notebook():
    assert parameters.check(SEGMENTATION, {"models": "efficientnetb3"}, ["models"], "here")
    with pytest.raises(UserError, match="'models' has 'efficientnetb3'"):
        parameters.check(DETECTION, {"models": "efficientnetb3"}, ["models"], "here")
    assert parameters.check("my_own", {"models": "cnn, efficientnetb3"}, ["models"], "here")
    assert parameters.check(DETECTION, {"size": 100}, ["size"], "here")
    with pytest.raises(UserError, match="'size' is 100; expected a whole number from 32 to 4096, a multiple of 32"):
        parameters.check(SEGMENTATION, {"size": 100}, ["size"], "here")


def test_one_message_names_every_fault():
    given = {"sede": 1, "epochs": 0, "models": "vgg", "reuse": 3, "color": "red", "batch": 8}
    known = ["seed", "epochs", "models", "reuse", "batch"]
    with pytest.raises(UserError) as caught:
        parameters.check(DETECTION, given, known, "mine.yaml")
    lines = str(caught.value).splitlines()
    assert lines == [
        "mine.yaml: unknown 'sede' (did you mean 'seed'?), 'color'; known are batch, epochs, models, reuse, seed.",
        "mine.yaml: 'epochs' is 0; expected a whole number from 1 to 10000.",
        f"mine.yaml: 'models' has 'vgg'; expected one or more of {', '.join(vocabulary.DETECTORS)}.",
        "mine.yaml: 'reuse' is 3; expected true or false.",
        "Nothing has run yet. Correct this, then start again.",
    ]


def test_a_notebooks_parameter_without_a_row_is_named():
    with pytest.raises(UserError, match="here: 'rate' has no row in the table of .*parameters.py; add one"):
        parameters.check(DETECTION, {"rate": 1}, ["rate"], "here")


def test_a_running_notebook_hears_of_unknown_missing_and_wrong_parameters_at_once(monkeypatch):
    namespace = vars(parameters.settings(DETECTION)) | {"epochs": 0, "pd": "a module"}
    del namespace["dropout"]
    monkeypatch.setattr(parameters, "injected_names", lambda: {"sede", "epochs"})
    with pytest.raises(UserError) as caught:
        parameters.of_notebook(DETECTION, namespace)
    said = str(caught.value)
    assert said.count(f"Notebook {DETECTION}: ") == 3
    assert "unknown 'sede' (did you mean 'seed'?)" in said and "'epochs' is 0" in said
    assert "run the cell tagged 'parameters' first: dropout not set" in said and "pd" not in said


def test_names_that_papermill_assigned_are_seen(monkeypatch):
    cells = ["", "seed = 0  # a", "# Parameters\nsede = 1\nsize = 2\n", "x = 3"]
    shell = SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert parameters.injected_names() == {"sede", "size"}


@pytest.mark.parametrize("notebook", notebooks())
@pytest.mark.parametrize("profile", parameters.profiles())
def test_every_profile_keeps_to_the_table(profile, notebook):
    settings = vars(parameters.settings(notebook, profile))
    file = parameters.read_parameters(parameters.parameters_file(notebook, profile))
    assert {name: settings[name] for name in file} == file and settings["profile"] == profile


def test_what_a_profile_leaves_out_is_as_in_quick(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "params" / "mine").mkdir()
    (tmp_path / "params" / "mine" / f"{DETECTION}.yaml").write_text("profile: mine\nepochs: 1\n")
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    assert vars(parameters.settings(DETECTION, "mine")) == vars(parameters.settings(DETECTION)) | {
        "profile": "mine",
        "epochs": 1,
    }
    with pytest.raises(UserError, match="There is no parameters file .*mine/05_segmentation.yaml"):
        parameters.settings(SEGMENTATION, "mine")


def test_an_unknown_profile_is_named():
    with pytest.raises(
        UserError, match=r"no profile 'quik' under params/ \(did you mean 'quick'\?\); known are paper, q"
    ):
        parameters.parameters_file(DETECTION, "quik")


def test_a_home_without_profiles_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=rf"no profiles in {tmp_path}/params.* set STROKE_HOME to a folder that has"):
        parameters.settings(DETECTION)


def test_roles_say_what_a_run_is_named_by_and_what_the_ledger_counts():
    by_role = {role: {name for name in TABLE if parameters.role(name) == role} for role in parameters.ROLES}
    trials = {"experiment_seeds", "other_starts", "variants"}
    assert by_role["where"] == {"profile", "data_dir", "reuse"}
    sizes = {"phantom_size", "compare_slices", "audit_patients", "control_size"}
    assert by_role["how often"] == {"seed", "models", *sizes, *trials}
    assert by_role["display"] == {"samples", "grey_sample"}
    assert parameters.role("of_an_older_version") == "identifies"
    values = vars(parameters.settings(DETECTION)) | {"of_an_older_version": 1}
    assert values.keys() - parameters.of_run(values).keys() == by_role["where"]
    # Which networks there are, and what else is tried, changes no single one.
    assert parameters.of_run(values).keys() - parameters.of_network(values, "cnn") == {"models", "own", *trials} & {
        *values
    }


def test_a_network_has_its_own_settings_and_no_other_networks():
    values = vars(parameters.settings(DETECTION)) | {"own": ["cnn epochs=30 learning_rate=1e-5"]}
    values |= {"epochs": 6, "learning_rate": 0.0002}
    cnn, other = (parameters.of_network(values, name) for name in ("cnn", "resnet18"))
    assert (cnn["epochs"], cnn["learning_rate"], cnn["learning_rate_random"]) == (30, 1e-5, 1e-5)
    assert (other["epochs"], other["learning_rate"], other["learning_rate_random"]) == (6, 0.0002, 0.001)
    assert parameters.of_network(values | {"learning_rate": 0.01}, "resnet18")["learning_rate_random"] == 0.01
    assert parameters.of_network(values | {"own": []}, "resnet18") == other, "it does not depend on the CNN's"
    segmentation = vars(parameters.settings(SEGMENTATION))
    assert "learning_rate_random" not in parameters.of_network(segmentation, "resnet50")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("cnn", r"'own' has 'cnn': expected setting=value after the network, as in 'cnn epochs=20 dropout=0.3'"),
        ("cnn epochs", r"'own' has 'cnn epochs': expected setting=value after the network"),
        ("cn epochs=3", r"'own' has 'cn epochs=3': unknown network 'cn' \(did you mean 'cnn'\?\)"),
        ("cnn epoch=3", r"'own' has 'cnn epoch=3': a network has no 'epoch' \(did you mean 'epochs'\?\) of its own"),
        ("cnn batch=3", r"a network has no 'batch' of its own"),
        ("cnn epochs=0", r"'own' has 'cnn epochs=0': 'epochs' is '0'; expected a whole number from 1"),
        ("cnn dropout=0.5, cnn epochs=4", r"'own' names cnn twice; expected all its settings in one text"),
    ],
)
def test_a_networks_own_settings_are_checked(item, said):
    known = vars(parameters.settings(DETECTION))
    with pytest.raises(UserError, match=said):
        parameters.check(DETECTION, {"own": item}, known, "here")


def test_the_vocabularys_names_are_those_of_the_tables_that_use_them():
    from stroke_utils import phantom
    from stroke_utils.learn import inputs, models

    assert tuple(models.BACKBONES) == vocabulary.DETECTORS
    assert tuple(models.TYPE_PREPROCESS) == vocabulary.TYPE_CLASSIFIERS
    assert tuple(models.UNET_ENCODERS) == tuple(models.ENCODER_FILES) == vocabulary.UNET_ENCODERS
    assert tuple(inputs.AUGMENTATIONS) == vocabulary.AUGMENTATIONS
    assert tuple(phantom.SIZES) == vocabulary.PHANTOM_SIZES
    for form in vocabulary.PIXEL_FORMS:
        assert callable(models.unet_preprocess("resnet50", form))


def test_checking_parameters_loads_no_tensorflow():
    code = (
        f"import sys; from stroke_utils.results import parameters; parameters.settings({DETECTION!r}); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


INSTALLED = """
import json
import stroke_utils
from stroke_utils.course import plan
from stroke_utils.results import ledger, parameters, provenance, runs
namespace = vars(parameters.settings("01_exploration"))
print(json.dumps({
    "file": stroke_utils.__file__,
    "samples": runs.start("01_exploration", namespace).params.samples,
    "profiles": parameters.profiles(),
    "notebooks": plan.make_plan().notebooks,
    "ledger": len(ledger.full_ledger([])),
    "git": provenance.git_state(),
}))
"""


def test_stroke_home_serves_a_package_that_is_installed_elsewhere(tmp_path):
    home = tmp_path / "home"
    shutil.copytree(identity.PACKAGE, tmp_path / "site" / "stroke_utils")
    for part in ("params", "notebooks"):
        shutil.copytree(ROOT / part, home / part)
    settings = {k: v for k, v in os.environ.items() if not k.startswith("STROKE_")}
    settings |= {"PYTHONPATH": str(tmp_path / "site"), "GIT_CEILING_DIRECTORIES": str(tmp_path)}

    def call(**more):
        return subprocess.run(
            [sys.executable, "-c", INSTALLED],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=settings | more,
            check=False,
        )

    done = call(STROKE_HOME=str(home))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["file"]).is_relative_to(tmp_path / "site")
    assert said["samples"] == parameters.settings("01_exploration").samples
    assert said["profiles"] == parameters.profiles() and said["notebooks"] == make_plan().notebooks
    assert said["ledger"] > 50 and said["git"] == {"commit": None, "dirty": None}
    assert "Set STROKE_HOME to a folder with the project's notebooks/ and params/" in call().stderr


def test_nothing_but_paths_takes_the_projects_root_from_where_the_package_lies():
    """``__file__`` of a package may name its own files only: templates, schemas, sources."""
    for path in sorted(identity.PACKAGE.rglob("*.py")):
        if path != Path(paths.__file__):
            text = path.read_text(encoding="utf-8")
            assert "parents[2]" not in text and "parent.parent.parent" not in text, path


def test_a_parameters_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("data_dir: /veri/İnme\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"mine.yaml is not UTF-8 \(byte 1\): save it again in that encoding"):
        parameters.read_parameters(path)
