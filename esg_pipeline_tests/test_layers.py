"""Imports point one way: stages know the shared words and the ledger, not each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "esg_pipeline"
SHARED = {"settings", "clock", "ratings"}
MAY_IMPORT = {
    "settings": set(),
    "clock": set(),
    "ratings": set(),
    "ledger": {"clock", "ratings"},
    "accounts": SHARED | {"ledger"},
    "scoring": SHARED | {"ledger"},
    "report": SHARED | {"ledger"},
    "delivery": SHARED | {"ledger"},
    "alerts": SHARED | {"ledger"},
    "sandbox": {"ratings"},
    "observability": SHARED | {"ledger", "scoring"},
}
DAGSTER_FREE = set(MAY_IMPORT) | {"daily_run"}


def imports_of(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


@pytest.mark.parametrize("room", sorted(room for room in MAY_IMPORT if files_of(room)))
def test_a_room_imports_only_what_it_may(room):
    for module in files_of(room):
        ours = {
            name.split(".")[1] for name in imports_of(module) if name.startswith("esg_pipeline.")
        }
        assert ours - MAY_IMPORT[room] - {room} == set(), module


@pytest.mark.parametrize("room", sorted(DAGSTER_FREE))
def test_no_stage_knows_dagster(room):
    for module in files_of(room):
        names = {name.split(".")[0] for name in imports_of(module)}
        assert "dagster" not in names, module


def test_only_the_composition_knows_more_than_one_stage():
    stages = set(MAY_IMPORT) - SHARED - {"ledger", "observability"}
    joining = set()
    for module in PACKAGE.rglob("*.py"):
        known = {n.split(".")[1] for n in imports_of(module) if n.startswith("esg_pipeline.")}
        if len(known & stages) > 1:
            joining.add(module.relative_to(PACKAGE).parts[0])
    allowed = {"daily_run", "defs", "cli"}
    assert joining <= allowed
