"""What stands around the code agrees with it: version, changelog, make, workflows, secret scan."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from esg_pipeline import __version__
from esg_pipeline_tests.docs.pages import PAGES, ROOT, code_blocks, inline_code, name_of

SECTIONS = re.findall(
    r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_the_version_stands_in_one_place_and_what_repeats_it_agrees():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "esg_pipeline.__version__"
    kustomization = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    assert [image["newTag"] for image in kustomization["images"]] == [__version__]


def test_the_newest_section_of_the_changelog_is_that_of_this_version():
    assert SECTIONS[0].startswith(f"{__version__} - ")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_the_changelog_is_a_version_and_its_date(section):
    assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", section)


@pytest.mark.servers
def test_make_alone_lists_every_target_with_what_it_does():
    listed = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True
    ).stdout
    named = dict(re.findall(r"^make (\S+) +(\S.*)$", listed, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert named.keys() == set(phony[1].split())


def targets() -> set[str]:
    """What `make` can make, by name or as a file."""
    return set(re.findall(r"^([\w./-]+):", MAKEFILE.replace("$(VENV)", ".venv"), re.MULTILINE))


def script(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda f: f.name)
def test_every_file_of_github_is_yaml(file):
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize(
    "file",
    [
        *WORKFLOWS,
        ROOT / ".ci/run",
        ROOT / ".devcontainer/devcontainer.json",
        ROOT / ".pre-commit-config.yaml",
    ],
    ids=lambda file: file.name,
)
def test_what_is_started_for_us_exists(file):
    text = "\n".join(
        line for line in file.read_text("utf-8").splitlines() if not re.match(r"\s*(#|//)", line)
    )
    assert set(re.findall(r"\bmake ([\w./-]+)", text)) <= targets()
    for name in re.findall(r"\.ci/[\w-]+", text):
        assert os.access(ROOT / name, os.X_OK), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_make_can_be_made(page):
    lines = "\n".join([*code_blocks(page), *inline_code(page)])
    assert set(re.findall(r"^make ([a-z][\w.-]*)", lines, re.MULTILINE)) <= targets()


def test_the_tests_run_on_every_python_that_is_promised():
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))["jobs"]
    pythons = jobs["tests"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    image = re.search(
        r"^FROM python:([\d.]+)", (ROOT / "deploy/kubernetes/Dockerfile").read_text(), re.MULTILINE
    )
    assert image is not None
    assert image[1] in pythons


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_an_action_of_others_is_pinned_to_a_commit_and_no_job_may_more_than_it_says(workflow):
    text = workflow.read_text("utf-8")
    for used in re.findall(r"uses: (\S+)", text):
        assert used.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used), used
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def test_every_path_with_an_owner_exists():
    owned = re.findall(r"^(/\S+) ", (ROOT / ".github/CODEOWNERS").read_text("utf-8"), re.MULTILINE)
    assert owned
    for path in owned:
        assert (ROOT / path.strip("/")).exists(), path


@pytest.mark.servers
def test_the_notes_of_a_release_are_the_changelogs_section_of_its_version():
    notes = script(".ci/changelog")
    assert notes.returncode == 0
    assert notes.stdout.strip()
    assert "## " not in notes.stdout
    assert script(".ci/changelog", __version__).stdout == notes.stdout
    assert script(".ci/changelog", "0.1.0").stdout != notes.stdout
    missing = script(".ci/changelog", "99.0.0")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "99.0.0" in missing.stderr


@pytest.mark.servers
def test_a_secret_is_found_before_it_is_committed_and_is_not_shown(tmp_path):
    (tmp_path / "clean.md").write_text("ESG_API_TOKEN=…\n")
    assert script(".ci/secrets", tmp_path).returncode == 0
    secret = "AGE-SECRET-" + "KEY-1" + "QYQSZQGP" * 7 + "QS"  # in parts: this file is scanned too
    (tmp_path / "key.txt").write_text(f"{secret}\n")
    found = script(".ci/secrets", tmp_path)
    assert found.returncode != 0
    assert "key.txt" in found.stdout
    assert secret not in found.stdout + found.stderr


def test_the_devcontainer_can_be_read():
    text = (ROOT / ".devcontainer/devcontainer.json").read_text("utf-8")
    assert json.loads(re.sub(r"(^|\s)//.*$", "", text, flags=re.MULTILINE))["name"]
