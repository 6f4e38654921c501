"""Write files so that they are never half there."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(target: str | Path, content: str | bytes) -> None:
    """Write a file through a temporary one beside it; its folder is made if there is none.

    Whoever reads the file finds the old content or the new, also after a crash.

    Raises:
        OSError: the disk is full or read-only; an older file is left as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
