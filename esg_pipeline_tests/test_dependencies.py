"""What pyproject.toml asks for: everything that is imported, nothing without a reason, with floors.

And the lock files hold what it asks for, by hash, from whatever registry.
"""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUN = [Requirement(each) for each in PROJECT["dependencies"]]
CLOUDWATCH = [Requirement(each) for each in EXTRAS["cloudwatch"]]
DEV = [Requirement(each) for each in EXTRAS["dev"]]
ALL = [*RUN, *CLOUDWATCH, *DEV]
OURS = {"esg_pipeline", "esg_pipeline_tests", "benchmarks"}
PEERS = ROOT / "benchmarks" / "requirements.txt"


def imported_modules(folder: Path) -> set[str]:
    """The first names of all that the modules of a folder import and Python does not bring."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


def packages_imported(folder: str) -> set[str]:
    """What a folder imports, by the names that a registry knows."""
    known = packages_distributions()
    return {canonicalize_name(known[each][0]) for each in imported_modules(ROOT / folder)}


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(each.name) for each in requirements}


def test_whatever_the_package_imports_is_asked_for():
    assert packages_imported("esg_pipeline") - names([*RUN, *CLOUDWATCH]) == set()


def test_whatever_the_tests_import_is_asked_for():
    assert packages_imported("esg_pipeline_tests") - names(ALL) == set()


def has_reason(requirement: Requirement) -> bool:
    line = re.search(rf'^ *"{re.escape(requirement.name)}[\[>=].*$', TEXT, re.MULTILINE)
    assert line is not None
    return re.search(r'", # \S', line[0]) is not None


@pytest.mark.parametrize("requirement", RUN, ids=lambda each: each.name)
def test_what_the_package_does_not_import_has_its_reason_beside_it(requirement):
    assert names([requirement]) <= packages_imported("esg_pipeline") or has_reason(requirement)


@pytest.mark.parametrize("requirement", DEV, ids=lambda each: each.name)
def test_what_no_test_imports_has_its_reason_beside_it(requirement):
    imported = packages_imported("esg_pipeline_tests") | packages_imported("esg_pipeline")
    assert names([requirement]) <= imported or has_reason(requirement)


@pytest.mark.parametrize("requirement", ALL, ids=str)
def test_every_floor_is_stated_and_tested_with_that_version_or_a_newer_one(requirement):
    assert any(each.operator == ">=" for each in requirement.specifier)
    locked = {
        version
        for name in ("requirements.lock", "requirements-dev.lock")
        for locked_name, version in pins(name)
        if locked_name == canonicalize_name(requirement.name)
    }
    assert locked
    assert all(requirement.specifier.contains(version) for version in locked)


def pins(name: str) -> list[tuple[str, str]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)(?:\[.+?\])?==(\S+)", text, re.MULTILINE)
    return [(canonicalize_name(name), version) for name, version in found]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_names_no_registry_and_every_pin_has_a_hash(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE)
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_the_peers_of_the_benchmarks_are_pinned_and_what_we_use_too_is_the_same():
    lines = PEERS.read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    modules = imported_modules(ROOT / "benchmarks" / "peers") - {"job"}
    assert {canonicalize_name(module) for module in modules} == pinned.keys()
    ours = dict(pins("requirements.lock"))
    assert {name: ours[name] for name in pinned if name in ours} == {
        name: version for name, version in pinned.items() if name in ours
    }
