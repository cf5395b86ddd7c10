"""One list of formula starts, for the report, the pages, the audit export and the alerts."""

import ast
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.safe_text import FORMULA_START, guarded

PACKAGE = Path(__file__).parents[2] / "esg_pipeline"
STARTS = ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n"]


@pytest.mark.parametrize("start", [*STARTS, *(f"\0\0{each}" for each in STARTS)])
def test_a_text_that_starts_like_a_formula_gets_a_mark(start):
    assert guarded(f"{start}1") == f"'{start}1"


@pytest.mark.parametrize(
    "text", ["", "A1", " =1", "'=1", "1=1", "\0", "\0A", "−1", "x\n=1", "x\r=1"]
)
def test_any_other_text_stays_as_it_is(text):
    assert guarded(text) == text


@given(st.text(alphabet="".join([*STARTS, "\0 'a1"]), max_size=4))
def test_python_arrow_and_polars_read_the_list_alike(text):
    is_guarded = guarded(text) != text
    assert pc.match_substring_regex(pa.array([text]), FORMULA_START).to_pylist() == [is_guarded]
    assert pl.Series([text]).str.contains(FORMULA_START).to_list() == [is_guarded]


def test_nobody_else_has_a_list_of_formula_starts():
    def is_list(node):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return {"=", "@"} <= {
                each.value for each in node.elts if isinstance(each, ast.Constant)
            }
        return isinstance(node, ast.Constant) and isinstance(node.value, str) and "=+" in node.value

    having = {
        str(module.relative_to(PACKAGE))
        for module in PACKAGE.rglob("*.py")
        if any(map(is_list, ast.walk(ast.parse(module.read_text(encoding="utf-8")))))
    }
    assert having == {"safe_text/formulas.py"}
