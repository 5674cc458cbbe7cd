"""Errors that a user can correct: one class for the files that users write, words for messages."""

from __future__ import annotations

from collections.abc import Iterable

SIMILAR = 0.6
"""difflib's usual limit (0 to 1) for a likely typing error."""
MOST_NAMED = 3
"""Most names suggested in an error, which is one line."""


class MistakeError(ValueError):
    """A mistake in a user's own file or setting; its message is one line that says what to do."""


def why_failed(error: BaseException) -> str:
    """Return why something failed: the system's words in lower case, else the error's own."""
    system: str | None = getattr(error, "strerror", None)
    return system.lower() if system else str(error)


def name_hint(name: str, known: Iterable[str], form: str = "{}", listed: str = "") -> str:
    """Return what an unknown name may mean: `did you mean X?`, the same for all kinds of names.

    Meant are the known names that begin with it, else those with the same last part (`time.tz` for
    `tz`), else the most similar one.

    Args:
        name: The unknown name.
        known: All names.
        form: How a name is written, for example `--{}`.
        listed: Where all names are listed; without it they are named here if none is similar.
    """
    import difflib

    names, last = list(known), name.rpartition(".")[2]
    near = [one for one in names if name and one.startswith(name)]
    near = near or [one for one in names if last and one.rpartition(".")[2] == last]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=SIMILAR)
    if near:
        return f"{question(map(form.format, near[:MOST_NAMED]))} {listed}".rstrip()
    return listed or "there are " + ", ".join(map(form.format, names))


def question(near: Iterable[str]) -> str:
    """Return the question whether one of these names was meant."""
    return f"did you mean {' or '.join(near)}?"
