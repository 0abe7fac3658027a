"""What the hosted workflows install, wait for and pin; and that the tests can be collected where they run."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.metadata import packages_distributions
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
HOSTS = {"torch", "transformers", "llama_cpp", "gguf", "onnx", "onnxruntime"}
"""What only the first job of ci.yml has: no test needs them at its import but behind `importorskip`."""


def job(workflow, name):
    """The lines of one job."""
    return re.search(rf"^  {name}:\n(.*?)(?=^  \w|\Z)", WORKFLOWS[workflow], re.MULTILINE | re.DOTALL)[1]


def pinned(text):
    """The packages, normalised, that the requirements files hold which some text installs."""
    files = re.findall(r"-r (?:/here/)?(requirements-\w+\.txt)", text)
    pins = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    return {normalised(name) for name in re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)}


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(nodes):
    """The modules that some nodes of Python's syntax import, by their first names."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def third_party():
    """What the tests import that is neither Python's nor the project's."""
    ours = {"rheostat", "_rheostat_command", "integrations", "browser", "fuzz", "peers"}
    for folder in ("tests", "benches", "docs", "examples"):
        ours |= {path.stem for path in (ROOT / folder).rglob("*.py")}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")]
    named = {name for tree in trees for name in imported(ast.walk(tree))}
    return named - ours - sys.stdlib_module_names


def test_what_the_tests_import_is_what_the_job_of_every_platform_installs():
    installed, homes = pinned(job("ci.yml", "platforms")), packages_distributions()
    found = third_party()
    assert {"numpy", "pytest", "hypothesis", "scipy", "optuna"} <= found
    for name in found - HOSTS:
        assert {normalised(home) for home in homes[name]} & installed, name


def test_what_needs_a_host_program_asks_for_it_first():
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        asked = re.findall(r'importorskip\("(\w+)', text)
        assert set(imported(ast.parse(text).body)) & HOSTS <= set(asked), path


@pytest.mark.parametrize("name", ["build", "test"])
def test_a_requirement_has_the_version_that_the_development_tools_have(name):
    versions = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
    here = dict(versions.findall((ROOT / f"requirements-{name}.txt").read_text(encoding="utf-8")))
    there = dict(versions.findall((ROOT / "requirements-dev.txt").read_text(encoding="utf-8")))
    assert {package: there[package] for package in here.keys() & there.keys()}.items() <= here.items()
    asked = re.findall(
        r"^([a-z][\w-]*)", (ROOT / f"requirements-{name}.in").read_text(encoding="utf-8"), re.M
    )
    assert {normalised(package) for package in asked} <= {normalised(package) for package in here}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_a_workflow_installs_is_pinned_by_hash_or_was_built_there(name):
    lines = re.findall(r"pip install (.*)", WORKFLOWS[name])
    assert lines
    for line in lines:
        pinned_or_built = r"--require-hashes -r |--no-deps (--no-build-isolation )?(/here/)?dist/\*"
        assert re.match(pinned_or_built, line), line
    for version in re.findall(r"maturin-version: v(\S+)", WORKFLOWS[name]):
        pins = (ROOT / "requirements-build.txt").read_text(encoding="utf-8")
        assert f"maturin=={version} " in pins
    actions = re.findall(r"uses: PyO3/maturin-action", WORKFLOWS[name])
    assert len(actions) == WORKFLOWS[name].count("maturin-version: ")


def test_nothing_is_published_that_has_not_passed_everything():
    assert re.search(r"^  workflow_call:", WORKFLOWS["ci.yml"], re.MULTILINE)
    assert "uses: ./.github/workflows/ci.yml" in job("wheels.yml", "tests")
    needs = re.search(r"needs: \[(.*)\]", job("wheels.yml", "publish"))[1].split(", ")
    jobs = re.findall(r"^  ([a-z-]+):$", WORKFLOWS["wheels.yml"].partition("\njobs:\n")[2], re.MULTILINE)
    assert sorted([*needs, "publish"]) == sorted(jobs)


def test_actions_are_pinned_by_what_nobody_can_move():
    used = [use for text in WORKFLOWS.values() for use in re.findall(r"uses: (.*)", text)]
    assert len(used) > 10
    for use in used:
        assert re.fullmatch(r"\./\.github/workflows/ci\.yml|[\w/-]+@[0-9a-f]{40} # v\d\S+( .*)?", use), use


def test_actions_crates_and_tools_are_watched_for_new_versions():
    text = (ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8")
    assert re.findall(r"package-ecosystem: ([\w-]+)", text) == ["github-actions", "pip", "cargo"]


def test_the_tests_are_collected_where_posix_is_missing():
    """As on Windows: no pty, no fcntl, no SIGKILL; what needs them is skipped when it runs."""
    options = ["-p", "without_posix", "-p", "no:cacheprovider", "--collect-only"]
    command = [sys.executable, "-m", "pytest", *options]
    env = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\d{4,} tests collected", done.stdout)


@pytest.mark.parametrize(
    ("told", "code", "problems"),
    [
        ({"metadata": {"timestamp": "2026-01-02T03:04:05.000000000Z"}}, b"cargo/registry/src/a.rs", []),
        ({"metadata": {"timestamp": "2026-01-02T03:04:06.000000000Z"}}, b"", ["when it was built"]),
        (
            {"metadata": {"timestamp": "2026-01-02T03:04:05Z"}, "serialNumber": "x"},
            b"",
            ["when it was built"],
        ),
        ({"metadata": {"timestamp": "2026-01-02T03:04:05Z"}}, b"\0/root/.cargo/registry/a", ["/root/.cargo"]),
        (
            {"metadata": {"timestamp": "2026-01-02T03:04:05Z"}},
            b"\0C:\\me\\.cargo\\registry",
            [r"C:\me\.cargo"],
        ),
    ],
)
def test_a_wheel_that_tells_when_or_where_it_was_built_is_found(tmp_path, monkeypatch, told, code, problems):
    check = SourceFileLoader("check_dist", str(ROOT / ".ci" / "check-dist"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = module_from_spec(spec_from_loader("check_dist", check))
    check.exec_module(module)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767323045")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("rheostat-0.dist-info/sboms/rheostat.json", json.dumps(told))
        wheel.writestr("rheostat/_rheostat.abi3.so", code)
    with zipfile.ZipFile(tmp_path / "a.whl") as wheel:
        found = module.told_of_its_build(tmp_path / "a.whl", wheel)
    assert len(found) == len(problems)
    assert all(said in line for said, line in zip(problems, found, strict=True))
