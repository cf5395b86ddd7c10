"""Tables on the screen, in which no word is cut where that can be avoided.

On a narrow screen a table is turned: its lines stand side by side, as many as have room.
"""

import sys
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

FRAME = 3
"""Columns of the screen that a cell takes besides its text."""
WIDTH_OF_A_FILE = 160
Lines = Sequence[Sequence[str]]


def print_table(lines: Lines) -> None:
    """Print the lines as a table on standard output; the first one is its head."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    if _least_width(lines) <= console.width:
        _print(console, lines)
        return
    head, *rest = lines
    while rest:
        tables = (list(zip(head, *rest[:n], strict=True)) for n in range(len(rest), 1, -1))
        fitting = (table for table in tables if _least_width(table) <= console.width)
        table = next(fitting, list(zip(head, rest[0], strict=True)))
        _print(console, table)
        del rest[: len(table[0]) - 1]


def _least_width(lines: Lines) -> int:
    """The width of a table of these lines in which no word is cut."""
    return 1 + sum(_longest_word(column) + FRAME for column in zip(*lines, strict=True))


def _longest_word(texts: Iterable[str]) -> int:
    return _longest(" ".join(texts).split())


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=1)


def _print(console: Console, lines: Lines) -> None:
    """Print them; room to spare goes to the first columns."""
    table = Table()
    spare = max(0, console.width - _least_width(lines))
    for column in zip(*lines, strict=True):
        least = _longest_word(column)
        more = min(spare, _longest(column) - least)
        spare -= more
        table.add_column(Text(column[0]), width=least + more)
    for line in lines[1:]:
        table.add_row(*(Text(cell, overflow="fold") for cell in line))
    console.print(table)
