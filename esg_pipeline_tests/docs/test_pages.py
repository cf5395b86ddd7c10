"""The pages hang together: names, links and tests they speak of exist, and they can be built."""

import os
import re
import subprocess
import sys

import pytest

from esg_pipeline.settings import Settings, setting_name
from esg_pipeline_tests.docs.pages import (
    DOCS,
    PAGES,
    ROOT,
    anchors,
    check_proofs,
    inline_code,
    links,
    name_of,
    read,
    table_rows,
)

KNOWN = {setting_name(field) for field in Settings.model_fields}
PATH = re.compile(r"^(?:deploy|docs|esg_pipeline|esg_pipeline_tests|\.ci)/[\w./-]*$")
MODULE = re.compile(r"^[a-z_]+/[\w/]+\.(?:py|sql)$")


def test_there_are_pages():
    assert {"docs/index.md", "docs/runbook.md", "README.md", "deploy/s3/README.md"} <= set(
        map(name_of, PAGES)
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_a_page_names_is_known(page):
    for name in set(re.findall(r"\bESG_[A-Z0-9_]+", read(page))):
        is_start = name.endswith("_") and any(known.startswith(name) for known in KNOWN)
        assert name in KNOWN or is_start or name == "ESG_", name


def test_every_setting_in_the_example_environment_is_known():
    text = (ROOT / "deploy/systemd/environment.example").read_text(encoding="utf-8")
    names = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    assert names - KNOWN == {"DAGSTER_POSTGRES_URL"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page):
    for code in inline_code(page):
        if PATH.match(code):
            assert (ROOT / code).exists(), code
        elif MODULE.match(code):
            roots = (ROOT / "esg_pipeline", ROOT / "esg_pipeline_tests")
            assert any((root / code).exists() for root in roots), code


def test_every_threat_names_tests_that_exist():
    rows = table_rows(DOCS / "security.md", "Threats")
    assert len(rows) > 15
    for row in rows:
        check_proofs(row)


@pytest.mark.servers
def test_the_pages_build_without_a_warning_and_load_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > len(list(DOCS.glob("*.md")))  # and 404.html
    for page in built:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?://[^\"\s>]+)", html
        )
        assert loaded == [], page.name
