"""Functions that fail as an operating system does, put in place of the real ones."""

from __future__ import annotations

import errno
import os
from typing import NoReturn


def denied(*_: object, **__: object) -> NoReturn:
    """Refuse: permission denied."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def full(*_: object, **__: object) -> NoReturn:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
