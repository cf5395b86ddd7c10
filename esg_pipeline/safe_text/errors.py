"""Errors that leave for where we do not write the text ourselves: Dagster's storage, a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from esg_pipeline.safe_text.secrets import mask


@contextmanager
def without_secrets() -> Iterator[None]:
    """Let no error out of the block whose text, or that of what is behind it, shows a secret.

    An error that shows none comes out as it is. Any other is replaced by one of the same name that
    says the same, masked; it can no longer be caught by its class.
    """
    try:
        yield
    except Exception as error:
        if all(mask(text) == text for each in _chain(error) for text in _texts(each)):
            raise
        safe = _retold(error)
        raise safe from safe.__cause__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it, as a traceback shows them."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = _behind(each)


def _behind(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _texts(error: BaseException) -> list[str]:
    try:
        text = str(error)
    except Exception:  # what is behind it is still told
        text = "an error that cannot be shown"
    return [text, *getattr(error, "__notes__", ())]


def _retold(error: BaseException) -> Exception:
    """Errors of the same names, with masked texts and their tracebacks, one behind the other."""
    chain = [_masked(each) for each in _chain(error)]
    for each, behind in pairwise(chain):
        each.__cause__ = behind
    return chain[0]


def _masked(error: BaseException) -> Exception:
    text, *notes = map(mask, _texts(error))
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    masked: Exception = kind(text)
    for note in notes:
        masked.add_note(note)
    return masked.with_traceback(error.__traceback__)
