"""A reader that accepts RFC 4180 to the letter and nothing else, as the judge of our files.

It must never forgive: bare quotes, bare CR or LF, a missing last CRLF or a row of another width
is an error, where the usual readers guess.
"""


class NotRfc4180(Exception):
    """The bytes are not RFC 4180 CSV."""


def read_rfc4180(content: bytes) -> list[list[str]]:
    """Read UTF-8 bytes into rows of text.

    Raises:
        NotRfc4180: with the position in the text.
    """
    text = content.decode("utf-8", errors="strict")
    rows: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        field, at = _quoted(text, at + 1) if text[at] == '"' else _bare(text, at)
        rows[-1].append(field)
        if text.startswith(",", at):
            at += 1
            if at == len(text):
                raise NotRfc4180(f"the text ends after a comma at {at}")
            if text.startswith("\r\n", at):  # the last field of the line is empty
                rows[-1].append("")
        if text.startswith("\r\n", at):
            at += 2
            rows.append([])
        elif text[at - 1] != ",":
            raise NotRfc4180(f"neither a comma nor CRLF at {at}")
    if rows.pop():
        raise NotRfc4180("the last line has no CRLF")
    if len({len(row) for row in rows}) > 1:
        raise NotRfc4180("lines have different numbers of fields")
    return rows


def _bare(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end] not in '",\r\n':
        end += 1
    return text[at:end], end


def _quoted(text: str, at: int) -> tuple[str, int]:
    field = ""
    while (quote := text.find('"', at)) >= 0:
        field += text[at:quote]
        if not text.startswith('""', quote):
            return field, quote + 1
        field, at = field + '"', quote + 2
    raise NotRfc4180(f"a quote is never closed; its field starts before {at}")
