"""Download a file: continued where it stopped, checked, and never half there."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from filelock import FileLock

import multiace

ATTEMPTS: Final = 4
TIMEOUT: Final = 30.0  # seconds without a byte
_CHUNK: Final = 1 << 16
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)  # answers that another try may change

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that are there and, where known, the bytes there will be."""


class FetchError(ValueError):
    """A download that cannot be had or is not what it should be: says where and the way out."""


class _TryAgainError(Exception):
    """The connection failed in a way that another try may change."""


def download(
    address: str,
    target: Path,
    check: Callable[[Path], object],
    *,
    limit: int,
    on_bytes: OnBytes = lambda here, total: None,
    pause: float = 1.0,
) -> None:
    """Download a file, unless it is there, and check it before it gets its name.

    What has arrived of it stays in `target.part`, and the next call goes on from there (HTTP
    range). Processes that want the same file wait for one another.

    Args:
        address: http or https.
        target: where it goes.
        check: raises `FetchError` if the file is not what it should be.
        limit: most bytes accepted.
        on_bytes: told of progress.
        pause: seconds before the second try, twice as long before each further one.

    Raises:
        FetchError: no connection, no such file, too many bytes, or the check fails.
        OSError: the disk is full or read-only.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if target.exists():
            check(target)
            return
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists() and part.stat().st_size > 0
        _transfer_all(address, part, limit, on_bytes, pause)
        try:
            check(part)
        except FetchError:
            part.unlink()
            if not resumed:
                raise
            _transfer_all(address, part, limit, on_bytes, pause)  # what was there was of no use
            _check_or_remove(part, check)
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)


def _check_or_remove(part: Path, check: Callable[[Path], object]) -> None:
    try:
        check(part)
    except FetchError:
        part.unlink()
        raise


def _transfer_all(address: str, part: Path, limit: int, on_bytes: OnBytes, pause: float) -> None:
    """Transfer what is missing, in several tries."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _transfer(address, part, limit, on_bytes)
            return
        except _TryAgainError as error:
            if attempt < ATTEMPTS:
                time.sleep(pause * 2 ** (attempt - 1))
                continue
            here = part.stat().st_size if part.exists() else 0
            kept = f" {here:,} bytes are kept; the next call goes on from there." if here else ""
            raise FetchError(
                f"{address} cannot be fetched: {error}. Fetching needs a connection to "
                f"{urlsplit(address).hostname} or a copy of it: --mirror takes the address of one."
                f"{kept}"
            ) from error


def _transfer(address: str, part: Path, limit: int, on_bytes: OnBytes) -> None:
    """Transfer once, from where the part ends."""
    here = part.stat().st_size if part.exists() else 0
    try:
        with open_address(address, first_byte=here) as response:
            total = _total(response)
            if here and not _continues(response, here):
                here = 0
            with open(part, "ab" if here else "wb") as stream:
                while chunk := response.read(_CHUNK):
                    here += len(chunk)
                    if here > limit:
                        raise FetchError(
                            f"{address} is longer than the {limit:,} bytes it should have at "
                            "most. Nothing of it is used."
                        )
                    stream.write(chunk)
                    on_bytes(here, total)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and here:  # nothing from here on: complete, or not this file
            if error.headers.get("Content-Range") != f"bytes */{here}":
                part.unlink()
                raise _TryAgainError("the part kept does not fit the file") from error
            return
        if error.code in _PASSING:
            raise _TryAgainError(f"HTTP {error.code} {error.reason}") from error
        raise FetchError(
            f"{address} cannot be fetched: HTTP {error.code} {error.reason}. The file is not "
            "there, or not for everyone."
        ) from error
    except urllib.error.URLError as error:
        raise _TryAgainError(str(error.reason)) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _TryAgainError(str(error) or type(error).__name__) from error
    if total is not None and here < total:
        raise _TryAgainError(f"the connection ended after {here:,} of {total:,} bytes")


def open_address(address: str, first_byte: int = 0) -> Any:
    """Open an address, from a byte on.

    Raises:
        FetchError: not http or https.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise FetchError(f"An address must begin with http:// or https://, got {address!r}.")
    headers = {"User-Agent": f"multiace/{multiace.__version__}", "Accept-Encoding": "identity"}
    if first_byte:
        headers["Range"] = f"bytes={first_byte}-"
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)


def _continues(response: Any, here: int) -> bool:
    """Return whether an answer begins at a byte; else it is the whole file."""
    content = response.headers.get("Content-Range", "")
    return response.status == 206 and content.startswith(f"bytes {here}-")


def _total(response: Any) -> int | None:
    """Return how long the whole file is, as far as the answer says."""
    text = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status != 206:
        text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def git_id(path: Path) -> str:
    r"""Return the id that git gives the content of a file: the SHA-1 of `blob SIZE\0` and it."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
