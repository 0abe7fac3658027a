"""What the package says of itself is what the project says elsewhere. `.ci/check-dist` reads the wheel."""

import doctest
import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import rheostat
import rheostat.extras
from rheostat.extras import EXTRAS, needed

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"]
    assert CARGO["version"] == metadata("rheostat")["Version"] == rheostat.__version__
    assert (
        rheostat.build_info()["version"] == rheostat.reference.build_info()["version"] == rheostat.__version__
    )
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(rheostat.__version__)} ", changelog, re.MULTILINE)


def test_the_base_install_needs_numpy_alone():
    needed = [line for line in metadata("rheostat").get_all("Requires-Dist") if "extra ==" not in line]
    assert [re.match(r"[\w-]+", line)[0] for line in needed] == ["numpy"]


def test_python_and_rust_versions_are_said_once_and_kept():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    named = [text.rsplit(" ", 1)[1] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert named[0] == oldest == "3.11"
    abi = re.search(r'pyo3 = .*"abi3-py3(\d+)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert f"3.{abi[1]}" == oldest
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {oldest} or newer" in readme
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    for version in named:
        assert f'"{version}"' in workflow, version


def test_what_the_wheel_holds_of_others_is_named_with_its_licence():
    text = (ROOT / "THIRD-PARTY.txt").read_text(encoding="utf-8")
    package = ROOT / "python" / "rheostat"
    data = [path.relative_to(package.parent).as_posix() for path in package.rglob("*.np[yz]")]
    assert len(data) == 2
    for name in [*data, "Rust's standard library"]:
        paragraph = next(part for part in text.split("\n\n") if part.startswith(name))
        assert re.search(r"[lL]icence|MIT OR Apache-2.0", paragraph), name
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in text


def test_an_extra_is_installed_from_a_clone_or_by_its_packages():
    """No index has the name yet, so that `pip install 'rheostat[cli]'` would bring a stranger's package."""
    extras = PROJECT["optional-dependencies"]
    assert doctest.testmod(rheostat.extras) == (0, 1)
    for extra, packages in EXTRAS.items():
        assert list(packages) == extras[extra]
        assert needed("x", extra).endswith(" ".join(f"'{package}'" for package in packages))
    pages = [ROOT / "README.md"]
    for folder, endings in (("docs", "*.md"), ("examples", "*.py"), ("python", "*.py"), ("benches", "*.md")):
        pages += (ROOT / folder).rglob(endings)
    asked = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "install 'rheostat[" not in text, page
        for names in re.findall(r"pip install '\.\[([\w,-]+)\]'", text):
            asked |= set(names.split(","))
    assert {"cli", "lab", "plot", "llama-cpp"} <= asked <= extras.keys()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_a_link_to_a_file_leads_to_one_of_the_repository(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            found = (ROOT / target).resolve()
            assert found.is_relative_to(ROOT), target
            assert found.exists(), target
