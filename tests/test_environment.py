"""pyproject.toml, requirements.lock and environment.yml agree, and the installer says what is wrong in one line."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
REQUIREMENTS = [Requirement(text) for text in PROJECT["project"]["dependencies"]]

# What markers are evaluated against: every supported Python on the systems the lock is meant for.
TARGETS = [
    {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.5",
        "sys_platform": system,
        "os_name": "posix",
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for minor in (11, 12, 13)
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]


def pins(target, lines=None):
    """Versions pinned for a target, by package; a list, so that a doubled pin shows."""
    found = {}
    for line in LOCK if lines is None else lines:
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(target):
            found.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    return found


def unmet(requirement, found):
    """Tell in words why the pins do not satisfy a requirement, or None."""
    versions = found.get(canonicalize_name(requirement.name), [])
    if len(versions) != 1:
        return f"{requirement.name} is pinned {len(versions)} times"
    return None if requirement.specifier.contains(versions[0], prereleases=True) else f"{requirement} != {versions[0]}"


def test_the_lock_holds_exact_pins_only():
    assert LOCK and all(re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line) for line in LOCK)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t['python_version']}-{t['sys_platform']}")
def test_every_dependency_is_met_by_exactly_one_pin(target):
    found = pins(target)
    build = [Requirement(text) for text in PROJECT["build-system"]["requires"]]  # no build isolation: it must be there
    assert [reason for r in [*REQUIREMENTS, *build] if (reason := unmet(r, found))] == []
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


def test_the_check_itself_sees_missing_doubled_and_wrong_pins():
    need = Requirement("numpy>=2,<3")
    for lines in ([], ["numpy==2.1", "numpy==2.2"], ["numpy==3.0"], ["numpy==2.1 ; sys_platform == 'win32'"]):
        assert unmet(need, pins(TARGETS[0], lines))
    assert unmet(need, pins(TARGETS[0], ["numpy==2.1"])) is None


def test_the_running_environment_is_the_locks():
    from importlib.metadata import version

    bare = {canonicalize_name(r.name) for r in REQUIREMENTS}
    here = {**TARGETS[0], "python_version": f"3.{sys.version_info.minor}", "sys_platform": sys.platform}
    here["python_full_version"] = ".".join(map(str, sys.version_info[:3]))
    assert {n: [version(n)] for n in bare} == {n: v for n, v in pins(here).items() if n in bare}


def test_every_upper_bound_says_why():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    bounded = [line for line in lines if re.search(r'"[^"]*(<|==|~=)\s*\d[^"]*"', line)]
    assert len(bounded) >= 5
    assert [line for line in bounded if not re.search(r"#\s*\w.{10,}", line)] == []


def test_the_gpu_extra_has_tensorflows_bound():
    (gpu,) = [Requirement(text) for text in PROJECT["project"]["optional-dependencies"]["gpu"]]
    (plain,) = [r for r in REQUIREMENTS if r.name == "tensorflow"]
    assert gpu.name == "tensorflow" and gpu.extras == {"and-cuda"} and gpu.specifier == plain.specifier


def test_environment_yml_installs_the_same_lock():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, inner = conda["dependencies"]
    assert inner == {"pip": ["-r requirements.lock", "-e ."]} and plain[1:] == ["pip"]
    name, bound = plain[0].split(maxsplit=1)
    assert name == "python" and SpecifierSet(bound) == SpecifierSet(PROJECT["project"]["requires-python"])


def test_requires_python_is_what_the_installer_accepts():
    accepted = re.search(r"\((\d+), (\d+)\) <= .* <= \((\d+), (\d+)\)", (ROOT / ".ci/install.sh").read_text())
    low, high = (int(accepted[2]), int(accepted[4]))
    bound = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [minor for minor in range(30) if f"3.{minor}.1" in bound] == list(range(low, high + 1))


@pytest.fixture
def checkout(tmp_path):
    """A folder with a blank in its name that holds what the installer needs."""
    folder = tmp_path / "my checkout"
    (folder / ".ci").mkdir(parents=True)
    for name in (".ci/install.sh", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def script(path, text):
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def install(checkout, path="", **environment):
    """Run the installer with ``path`` before the bare system tools; return status and what it said."""
    call = subprocess.run(
        ["sh", ".ci/install.sh"],
        cwd=checkout,
        env={"PATH": f"{path}:{checkout.parent / 'tools'}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return call.returncode, call.stderr


@pytest.fixture
def bare_tools(checkout):
    """A PATH folder with the few tools that the installer uses, and no Python."""
    folder = checkout.parent / "tools"
    folder.mkdir()
    for name in ("sh", "cat", "cmp", "cp", "rm", "dirname", "pwd", "mkdir", "chmod"):
        os.symlink(shutil.which(name), folder / name)
    return folder


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("exit 127", "does not run"),
        ("echo is Python 3.10.4", "is Python 3.10.4"),
        ("echo is Python 3.14.0", "is Python 3.14.0"),
        (None, "none found"),
    ],
)
def test_an_unfit_python_is_named_in_one_line(checkout, bare_tools, tmp_path, python, said):
    if python:
        script(tmp_path / "bin" / "python3", python)
    status, text = install(checkout, tmp_path / "bin")
    assert status == 1 and said in text and "3.11, 3.12 or 3.13" in text and "PYTHON=" in text
    assert len(text.strip().splitlines()) == 1 and not (checkout / ".venv").exists()


def test_the_judgement_of_this_very_python_and_of_one_without_venv(checkout, bare_tools, tmp_path):
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "ensurepip.py").write_text("raise ImportError")
    lacking = script(tmp_path / "bin" / "python3", f"""PYTHONPATH={tmp_path}/lacking exec '{sys.executable}' "$@\"""")
    status, text = install(checkout, lacking.parent)
    assert status == 1 and re.search(r"without venv; .*apt install python3\.\d+-venv", text)
    assert len(text.strip().splitlines()) == 1


def test_a_broken_install_is_done_again_and_a_whole_one_is_not(checkout, bare_tools, tmp_path):
    calls = tmp_path / "calls"
    pip = f"""case "$*" in *"pip install"*) echo "$*" >> '{calls}'; [ ! -e '{tmp_path}/broken' ];; esac"""
    python = script(
        tmp_path / "bin" / "python3.12",
        f"""case "$*" in
        *venv*.venv*) mkdir -p .venv/bin; cp '{tmp_path}/pip' .venv/bin/python;;
        *) exec '{sys.executable}' "$@";;
        esac""",
    )
    script(tmp_path / "pip", pip)
    script(python.with_name("python3"), "exit 127")  # a shim for nothing stands before it

    def installs():
        count = len(calls.read_text().splitlines()) if calls.exists() else 0
        calls.unlink(missing_ok=True)
        return count

    (tmp_path / "broken").touch()
    status, text = install(checkout, python.parent)
    assert status == 1 and "did not finish" in text and installs() == 1
    (tmp_path / "broken").unlink()
    assert install(checkout, python.parent)[0] == 0 and installs() == 2
    assert install(checkout, "/nowhere") == (0, "") and installs() == 0  # whole: needs no other Python
    with (checkout / "pyproject.toml").open("a") as stream:
        stream.write("# changed\n")
    assert install(checkout, python.parent)[0] == 0 and installs() == 1
    with (checkout / "requirements.lock").open("a") as stream:
        stream.write("more==1\n")
    assert install(checkout, python.parent)[0] == 0 and installs() == 2
    moved = checkout.rename(checkout.with_name("moved"))
    assert install(moved, python.parent)[0] == 0 and installs() == 2


# Of the Dev Container schema (devcontainers/spec, schemas/devContainer.base.schema.json, 2025) what the file uses, word
# for word; nothing else is allowed, so that a new key needs a look at the schema. `customizations` is each tool's own.
_SIZE = {"type": "string", "pattern": r"^\d+([tgmk]b)?$"}
DEV_CONTAINER = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "hostRequirements": {
            "type": "object",
            "properties": {"cpus": {"type": "integer", "minimum": 1}, "memory": _SIZE, "storage": _SIZE},
            "additionalProperties": False,
        },
        "postCreateCommand": {"type": ["string", "array", "object"]},
        "waitFor": {"enum": ["initializeCommand", "onCreateCommand", "updateContentCommand", "postCreateCommand"]},
        "customizations": {"type": "object"},
    },
}


def test_the_dev_container_is_of_its_schema_and_opens_what_is_there():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)  # the format allows comments; without them every reader reads it
    jsonschema.validate(container, DEV_CONTAINER)
    (python,) = re.findall(r"python:(\d+\.\d+)$", container["image"])
    assert f"{python}.1" in SpecifierSet(PROJECT["project"]["requires-python"])
    (target,) = re.findall(r"^make (\w+)$", container["postCreateCommand"])
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert container["waitFor"] == "postCreateCommand", "else a notebook opens before there is an environment"
    opened = container["customizations"]["codespaces"]["openFiles"]
    assert opened == ["notebooks/00_start_here.ipynb"] and (ROOT / opened[0]).is_file()
    assert "](.devcontainer/devcontainer.json)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [{"postCreate": "make env"}, {"hostRequirements": {"memory": "8 GB"}}, {"waitFor": "make env"}, {"image": None}],
)
def test_a_wrong_dev_container_is_seen(change):
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(container | change, DEV_CONTAINER)
