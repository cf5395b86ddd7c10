"""Imports point one way: stages know the shared words and the ledger, not each other.

Every form of import counts, wherever in a file it stands: in a function, for the type checker
only, relative, renamed, or by a name in quotes.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "esg_pipeline"

WORDS = {"settings", "clock", "ratings", "failure_share", "safe_text", "sql_errors"}
STAGE = WORDS | {"ledger"}
STAGES = {"accounts", "scoring", "report", "delivery", "alerts"}
THE_DAY = STAGE | STAGES | {"observability"}

MAY_IMPORT = {
    "__init__": set(),
    "safe_text": set(),
    "clock": set(),
    "ratings": set(),
    "failure_share": set(),
    "sql_errors": {"safe_text"},
    "exit_codes": set(),
    "settings": {"safe_text"},
    "ledger": {"clock", "ratings", "safe_text", "sql_errors"},
    **dict.fromkeys(STAGES, STAGE),
    "observability": WORDS | {"scoring"},
    "sandbox": {"ratings"},
    "daily_run": THE_DAY | {"exit_codes"},
    "defs": THE_DAY | {"daily_run"},
    "definitions": {"defs"},
    "cli": THE_DAY | {"exit_codes", "daily_run", "defs", "definitions", "sandbox"},
    "__main__": {"cli"},
}
"""What each file or folder of the package may know beside itself."""

KNOW_DAGSTER = {"defs", "definitions", "cli"}
IMPORT_CALLS = {"import_module", "__import__"}
UNKNOWN = "a name that is only known when it runs"


def imports_of(module: Path, root: Path) -> Iterator[str]:
    """The full names of everything a file imports; `root` is the folder its package lies in."""
    here = module.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                parents = here[: len(here) + 1 - node.level] if node.level else ()
                start = ".".join([*parents, *([node.module] if node.module else [])])
                yield from (f"{start}.{alias.name}" for alias in node.names)
            case ast.Call():
                yield from _imported_by_call(node, here)


def _imported_by_call(call: ast.Call, here: tuple[str, ...]) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    match call.args:
        case [ast.Constant(value=str(imported)), *_] if name in IMPORT_CALLS | {"files"}:
            level = len(imported) - len(imported.lstrip("."))
            parents = here[: len(here) + 1 - level] if level else ()
            yield ".".join([*parents, imported.lstrip(".")])
        case _ if name in IMPORT_CALLS:
            yield UNKNOWN


def rooms_of(package: Path) -> list[str]:
    """Files and folders of a package, by the names one imports them by."""
    entries = (each for each in package.iterdir() if each.suffix == ".py" or any(each.glob("*.py")))
    return sorted(entry.stem for entry in entries)


def files_of(package: Path, room: str) -> list[Path]:
    folder = package / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [package / f"{room}.py"]


def forbidden(package: Path, room: str, may_import: Mapping[str, set[str]]) -> list[str]:
    """A line for each import of a room that it may not have."""
    rooms = set(rooms_of(package)) | may_import.keys()
    found = []
    for module in files_of(package, room):
        for name in imports_of(module, package.parent):
            first, _, rest = name.partition(".")
            known = rest.partition(".")[0]
            if name == UNKNOWN or (
                first == package.name and known in rooms - may_import[room] - {room}
            ):
                found.append(f"{module.relative_to(package)}: {name}")
    return found


@pytest.mark.parametrize("room", rooms_of(PACKAGE))
def test_a_room_imports_only_what_it_may(room):
    assert forbidden(PACKAGE, room, MAY_IMPORT) == []


@pytest.mark.parametrize("room", sorted(set(rooms_of(PACKAGE)) - KNOW_DAGSTER))
def test_no_stage_knows_dagster(room):
    for module in files_of(PACKAGE, room):
        names = {name.partition(".")[0] for name in imports_of(module, PACKAGE.parent)}
        assert "dagster" not in names, module


def test_only_the_composition_knows_more_than_one_stage():
    joining = {room for room, known in MAY_IMPORT.items() if len(known & STAGES) > 1}
    assert joining == {"daily_run", "defs", "cli"}


@pytest.mark.parametrize(
    "planted",
    [
        "import esg_pipeline.alerts",
        "import esg_pipeline.alerts.facts as facts",
        "from esg_pipeline.alerts import facts",
        "from esg_pipeline.alerts.facts import AlertFacts",
        "from esg_pipeline import clock, alerts",
        "from esg_pipeline import alerts as a",
        "from .. import alerts",
        "from ..alerts import facts",
        "from ..alerts.facts import *",
        "def f():\n    from ..alerts import facts",
        "if TYPE_CHECKING:\n    from esg_pipeline.alerts import AlertFacts",
        "try:\n    import esg_pipeline.alerts\nexcept ImportError:\n    pass",
        "importlib.import_module('esg_pipeline.alerts')",
        "import_module('..alerts', __package__)",
        "__import__('esg_pipeline.alerts.facts')",
        "importlib.import_module(f'esg_pipeline.{name}')",
        "resources.files('esg_pipeline.alerts')",
    ],
)
@pytest.mark.parametrize("place", ["report/csv_files.py", "report/__init__.py"])
def test_a_planted_import_of_any_form_is_found(place, planted, tmp_path):
    package = tmp_path / "esg_pipeline"
    for each in ("alerts/__init__.py", "clock.py", "report/csv_files.py", "report/__init__.py"):
        (package / each).parent.mkdir(parents=True, exist_ok=True)
        (package / each).write_text("from esg_pipeline.clock import now_utc\nimport re\n")
    assert forbidden(package, "report", MAY_IMPORT) == []
    (package / place).write_text(planted)
    (line,) = forbidden(package, "report", MAY_IMPORT)
    assert line.startswith(f"{place}: ")


def test_an_import_from_two_folders_further_up_is_found(tmp_path):
    package = tmp_path / "esg_pipeline"
    deep = package / "report" / "summary" / "pages.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("from ..schema import REPORT_SCHEMA\nfrom ...ratings import Focus\n")
    assert forbidden(package, "report", MAY_IMPORT) == []
    deep.write_text("from ...cli.home import end\n")
    assert forbidden(package, "report", MAY_IMPORT) == [
        "report/summary/pages.py: esg_pipeline.cli.home.end"
    ]


def test_a_room_that_nobody_has_placed_is_found():
    assert set(rooms_of(PACKAGE)) <= MAY_IMPORT.keys()
