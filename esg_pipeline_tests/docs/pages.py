"""The pages as a test reads them: code blocks, commands, inline code, links, headings."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
        *DOCS.glob("*.md"),
        *(ROOT / "deploy").rglob("README.md"),
    ],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
"""Every page that people read; `decisions.md` and `settings.md` too."""

_FENCE = re.compile(r"^( *)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_PROOF = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_PROGRAMS = ("esg-pipeline", "esg-pipeline-admin")
_SETTING = re.compile(r"[A-Z_]+=")
_END_OF_COMMAND = {"|", ">", ">>", "&&", ";"}


def name_of(page: Path) -> str:
    """The page, for the name of a test."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def code_blocks(page: Path) -> list[str]:
    """The content of every fenced block, without its indentation."""
    return [
        re.sub(rf"^{indent}", "", content, flags=re.MULTILINE)
        for indent, content in _FENCE.findall(read(page))
    ]


def block_with(page: Path, text: str) -> str:
    """The one code block that holds the text."""
    (found,) = [block for block in code_blocks(page) if text in block]
    return found


def inline_code(page: Path) -> list[str]:
    """Everything between single backticks, outside the blocks."""
    return _INLINE.findall(_FENCE.sub("", read(page)))


def links(page: Path) -> list[str]:
    """The targets of all links and pictures, outside the blocks."""
    return [link or picture for link, picture in _LINK.findall(_FENCE.sub("", read(page)))]


def headings(page: Path) -> list[str]:
    """The headings, without their marks."""
    return re.findall(r"^#+ (.+)$", _FENCE.sub("", read(page)), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a link into the page may name: its headings, and the places marked in its tables."""
    marked = re.findall(r'<a id="([^"]+)"></a>', read(page))
    return {*map(_slug, headings(page)), *marked}


def table_rows(page: Path, heading: str) -> list[str]:
    """The rows of all tables below a heading of the second level, without their heads."""
    section = read(page).partition(f"## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()[2:]]


def check_proofs(row: str) -> None:
    """Each test that the row names exists, and it names one."""
    proofs = _PROOF.findall(row)
    assert proofs, row
    for file, test in proofs:
        source = (ROOT / "esg_pipeline_tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"def {test}\b", source), f"{file}::{test}"


def _slug(heading: str) -> str:
    """The anchor that MkDocs gives a heading."""
    text = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", heading)).strip().lower()
    return re.sub(r"[\s-]+", "-", text)


@dataclass(frozen=True)
class Command:
    """An `esg-pipeline` command as a page writes it, without the program's name."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


def commands() -> list[Command]:
    """Every different command that stands in a code block of any page, as it can be typed."""
    lines = (
        line
        for page in PAGES
        for block in code_blocks(page)
        for line in block.replace("\\\n", " ").splitlines()
    )
    return sorted({found for line in lines if (found := _command_in(line))}, key=str)


def short_forms() -> list[Command]:
    """Every different command between backticks: options may be left out or in brackets."""
    texts = {
        re.sub(r"(?<= )D(?=$| )", "2026-03-10", re.sub(r"[][]", "", code))
        for page in PAGES
        for code in inline_code(page)
        if not code.endswith("…")
    }
    return sorted({found for text in texts if (found := _command_in(text))}, key=str)


def _command_in(line: str) -> Command | None:
    """The command of a line, after `sudo`, settings before it, or the `--` of another program."""
    if not any(f"{program} " in line for program in _PROGRAMS):
        return None
    words = shlex.split(line, comments=True)
    while words and (words[0] in ("sudo", "exec") or _SETTING.match(words[0])):
        del words[0]
    if "--" in words and words[0] not in _PROGRAMS:
        del words[: words.index("--") + 1]
    if not words or words[0] not in _PROGRAMS:
        return None
    end = next((at for at, word in enumerate(words) if word in _END_OF_COMMAND), len(words))
    return Command(tuple(words[1:end]))
