"""Errors that a user can correct: one class for all files that users write."""

from __future__ import annotations

from collections.abc import Iterable


class MistakeError(ValueError):
    """A mistake in a user's own file or setting; its message is one line that says what to do."""


def meant(name: str, known: Iterable[str], form: str = "{}") -> str:
    """Return a question that names the known name most like an unknown one, else all of them.

    `form`: how a name is written, for example `--{}`.
    """
    import difflib

    names = list(known)
    near = [one for one in names if name and one.startswith(name)][:1]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {form.format(near[0])}?"
    return "there are " + ", ".join(map(form.format, names))
