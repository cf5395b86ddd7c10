"""What stands around the code agrees with it: the version, the changelog, what `make` can make."""

import re
import subprocess
import tomllib

import pytest
import yaml

from esg_pipeline import __version__
from esg_pipeline_tests.docs.pages import ROOT

SECTIONS = re.findall(
    r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


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


def test_make_alone_lists_every_target_with_what_it_does():
    listed = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True
    ).stdout
    named = dict(re.findall(r"^make (\S+) +(\S.*)$", listed, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert named.keys() == set(phony[1].split())
