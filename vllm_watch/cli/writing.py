"""Files that commands write: complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vllm_watch.cli.saying import FAILED, CommandError
from vllm_watch.core.hints import TextIO
from vllm_watch.core.mistakes import why_failed


@contextlib.contextmanager
def path_aside(target: Path) -> Iterator[Path]:
    """Give the path of an empty file beside the target, and rename it when it is complete.

    For libraries that open the file themselves; no partial file is left under either name.

    Raises:
        CommandError: it cannot be written; names the target and the reason.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:200]}.")
    except OSError as error:
        raise _unwritable(target, error) from error
    os.close(descriptor)
    aside = Path(name)
    try:
        yield aside
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _unwritable(target, error) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def text_aside(target: Path) -> Iterator[TextIO]:
    """Open a file beside the target for text, and rename it when it is complete.

    Raises:
        CommandError: it cannot be written; names the target and the reason.
    """
    with path_aside(target) as aside, aside.open("w", encoding="utf-8") as file:
        yield file


def _unwritable(target: Path, error: OSError) -> CommandError:
    return CommandError(f"{target}: cannot be written: {why_failed(error)}", FAILED)
