"""What a machine lacks is skipped and named in one line; the lane without servers has none."""

import re
from pathlib import Path

import pytest

from esg_pipeline_tests.lanes import PACKAGES

pytest_plugins = ["pytester"]

NEEDS = """
import pytest

@pytest.mark.needs({needed})
def test_one():
    pass

@pytest.mark.needs("strace", {needed})
def test_two():
    pass
"""


@pytest.fixture
def bare(pytester, monkeypatch) -> pytest.Pytester:
    """A machine that has none of the programs, and a folder for tests of its own."""
    monkeypatch.setenv("PATH", str(pytester.path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("CI", raising=False)
    return pytester


def run(bare: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    bare.makepyfile(source)
    start = bare.runpytest_subprocess if "-n" in arguments else bare.runpytest_inprocess
    without = ("-p", "no:asyncio", "-p", "no:unraisableexception")  # they have words of their own
    return start("-p", "esg_pipeline_tests.lanes", *without, *arguments)


@pytest.mark.servers
def test_what_needs_a_missing_program_is_skipped_and_one_line_says_what_to_install(bare):
    done = run(bare, NEEDS.format(needed='"age"'))
    done.assert_outcomes(skipped=2)
    done.stdout.fnmatch_lines(["2 skipped: no age, no strace; apt-get install age strace"])


@pytest.mark.servers
def test_the_line_is_one_for_all_processes(bare):
    done = run(bare, NEEDS.format(needed='"age"'), "-n", "2")
    assert [line for line in done.outlines if "apt-get" in line] == [
        "2 skipped: no age, no strace; apt-get install age strace"
    ]


@pytest.mark.servers
def test_under_ci_a_missing_program_is_a_failure(bare, monkeypatch):
    monkeypatch.setenv("CI", "true")
    done = run(bare, NEEDS.format(needed='"age"'))
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*CI must have what a test needs: strace, age"])


@pytest.mark.servers
def test_a_program_that_no_package_is_known_for_is_an_error(bare):
    done = run(bare, NEEDS.format(needed='"agee"'))
    done.assert_outcomes(errors=2)


@pytest.mark.servers
def test_a_test_that_starts_something_must_be_in_the_lane_of_those_with_servers(bare):
    source = """
import os, socket, subprocess

import pytest

def with_socket(act):
    with socket.socket() as own:
        act(own)

ACTS = {
    "start": lambda: subprocess.run(["true"]),
    "listen": lambda: with_socket(lambda own: own.bind(("127.0.0.1", 0))),
    "call": lambda: with_socket(lambda own: own.connect(("127.0.0.1", 9))),
    "fork": os.fork,
}

@pytest.mark.parametrize("act", ACTS)
def test_one(act):
    with pytest.raises(RuntimeError, match="mark it with pytest.mark.servers"):
        ACTS[act]()
"""
    run(bare, source).assert_outcomes(passed=4)


@pytest.mark.servers
def test_a_fixture_that_asks_for_servers_puts_its_tests_into_their_lane(bare):
    source = """
import socket

import pytest

@pytest.fixture
def server(servers):
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

def test_with(server):
    pass

def test_without():
    pass
"""
    run(bare, source).assert_outcomes(passed=2)
    run(bare, source, "-m", "not servers").assert_outcomes(passed=1, deselected=1)


def test_ci_installs_whatever_a_test_may_need():
    script = (Path(__file__).parents[1] / ".ci/packages").read_text("utf-8")
    installed = re.search(r"^packages=\((.*)\)$", script, re.MULTILINE)
    assert installed is not None
    assert set(PACKAGES.values()) <= set(installed[1].split())
