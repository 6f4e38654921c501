"""Fetch a public set into a folder, through a cache."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from multiace.data.atomic_write import write_atomically
from multiace.data.errors import DataError
from multiace.data.fetch.catalogue import PublicFile, PublicSet, Repository, public_set
from multiace.data.fetch.download import FetchError, download, git_id, open_address
from multiace.data.fetch.rmd17 import rmd17_as_xyz

SOURCE_FILE: Final = "source.json"
_LARGEST: Final = 1 << 27  # bytes of a file of unknown size: 128 MiB
_LARGEST_LISTING: Final = 1 << 23

Check = Literal["known id", "listed id", "unverified"]
"""Equal to the id that stands in the catalogue, to that in the repository's list, or neither."""

OnFile = Callable[[PublicFile, int, int | None], None]
"""Called with a file, the bytes that are there and, where known, those there will be."""


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched.

    Args:
        path: where it is.
        address: where it came from.
        git_id: git's id of what came from there.
        check: what that id was compared with.
        sha256: of the file at `path`.
        reason: why it is unverified.
    """

    path: Path
    address: str
    git_id: str
    check: Check
    sha256: str
    reason: str = ""


def cache_directory() -> Path:
    """Return where downloads are kept.

    `MULTIACE_CACHE`, else `multiace` in `XDG_CACHE_HOME` or `~/.cache`.
    """
    given = os.environ.get("MULTIACE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multiace"


def fetch(
    name: str | PublicSet,
    out: str | Path | None = None,
    *,
    cache: str | Path | None = None,
    mirror: str | None = None,
    on_file: OnFile = lambda file, here, total: None,
    pause: float = 1.0,
) -> list[Fetched]:
    """Fetch a public set into a folder.

    Files that are in the cache are not downloaded again, interrupted downloads go on where they
    stopped, and each file is compared with git's id of it: the one in the catalogue, or else the
    one the repository lists for the pinned commit. `source.json` in the folder says where each
    came from, how it was checked, and what to cite.

    Args:
        name: `3bpa`, `acac`, `ethanol`, `rmd17/MOLECULE/SPLIT`, or a set.
        out: the folder; the name of the set if None.
        cache: where downloads are kept; `cache_directory()` if None.
        mirror: address of a copy: `MIRROR/HOST/PATH` is read instead of `https://HOST/PATH`.
        on_file: told of progress.
        pause: seconds before the second try of a connection.

    Returns:
        The files in the order of the catalogue.

    Raises:
        DataError: no such set, or the folder holds another file of that name.
        FetchError: no connection, or a file is not what it should be.
    """
    data = public_set(name) if isinstance(name, str) else name
    folder = Path(data.name if out is None else out)
    kept = cache_directory() if cache is None else Path(cache)
    ids = _Ids(kept, mirror)
    fetched = []
    for file in data.files:
        source = kept / file.repository.name / file.repository.commit / file.path
        download(
            _mirrored(file.repository.address(file.path), mirror),
            source,
            lambda path, file=file: ids.require(file, path),
            limit=_LARGEST if file.git_id is None or file.n_bytes is None else file.n_bytes,
            on_bytes=lambda here, total, file=file: on_file(file, here, total),
            pause=pause,
        )
        check, reason = ids.require(file, source)
        sha256 = _place(data, file, source, folder / file.name)
        fetched.append(
            Fetched(
                path=folder / file.name,
                address=file.repository.address(file.path),
                git_id=git_id(source),
                check=check,
                sha256=sha256,
                reason=reason,
            )
        )
    write_atomically(
        folder / SOURCE_FILE, json.dumps(_record(data, fetched), indent=2, ensure_ascii=False)
    )
    return fetched


class _Ids:
    """What git calls the files of repositories, asked for once and kept."""

    def __init__(self, cache: Path, mirror: str | None) -> None:
        self.cache = cache
        self.mirror = mirror
        self.listings: dict[Repository, dict[str, str] | str] = {}

    def require(self, file: PublicFile, path: Path) -> tuple[Check, str]:
        """Compare a file with its id; say with which, and why with none.

        Raises:
            FetchError: it has another.
        """
        expected, check, reason = file.git_id, "known id", ""
        if expected is None:
            check = "listed id"
            listing = self._listing(file.repository)
            if isinstance(listing, str):
                return "unverified", listing
            expected = listing.get(file.path)
            if expected is None:
                return "unverified", "the repository's list does not have the file"
        found = git_id(path)
        if found != expected:
            raise FetchError(
                f"{file.path} of {file.repository.name} must have the git id {expected}, got "
                f"{found} ({path.stat().st_size:,} bytes): it was damaged or replaced on its way. "
                f"Fetch it again, without --mirror if you gave one; remove {path} if it is there."
            )
        return check, reason

    def _listing(self, repository: Repository) -> dict[str, str] | str:
        """Return the ids by path, or why there are none."""
        if repository not in self.listings:
            self.listings[repository] = self._read_listing(repository)
        return self.listings[repository]

    def _read_listing(self, repository: Repository) -> dict[str, str] | str:
        kept = self.cache / repository.name / f"{repository.commit}.json"
        try:
            return json.loads(kept.read_bytes())
        except (OSError, ValueError):
            pass  # there is none yet, or it is damaged: ask again
        address = _mirrored(repository.listing, self.mirror)
        try:
            with open_address(address) as response:
                content = json.loads(response.read(_LARGEST_LISTING))
            if content["truncated"]:
                return f"{address} lists only a part of the repository"
            ids = {
                entry["path"]: str(entry["sha"])
                for entry in content["tree"]
                if entry["type"] == "blob"
            }
        except urllib.error.URLError as error:
            return f"{address} cannot be read: {error.reason}"
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            return f"{address} is not a list of files: {error!r}"
        write_atomically(kept, json.dumps(ids))
        return ids


def _mirrored(address: str, mirror: str | None) -> str:
    """Return where an address is in a mirror.

    Example:
        >>> _mirrored("https://raw.githubusercontent.com/a/b/c.xyz", "http://10.0.0.1/copy/")
        'http://10.0.0.1/copy/raw.githubusercontent.com/a/b/c.xyz'
    """
    if mirror is None:
        return address
    parts = urlsplit(address)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}{query}"


def _place(data: PublicSet, file: PublicFile, source: Path, target: Path) -> str:
    """Put a file of the cache where it is wanted and return its SHA-256."""
    if file.format == "rmd17":
        _, molecule, split = data.name.split("/")
        content = rmd17_as_xyz(source, config_type=molecule, split=split).encode()
    else:
        content = source.read_bytes()
    if target.exists() and target.read_bytes() != content:
        raise DataError(
            "there is another file of that name",
            file=target,
            hint="Choose another folder with --out, or remove the file.",
        )
    write_atomically(target, content)
    return hashlib.sha256(content).hexdigest()


def _record(data: PublicSet, fetched: list[Fetched]) -> dict[str, Any]:
    """Return what is said of a folder in `source.json`."""
    return {
        "name": data.name,
        "method": data.method,
        "licence": data.licence,
        "cite": list(data.citations),
        "files": [
            {"name": file.path.name, **{k: v for k, v in asdict(file).items() if k != "path"}}
            for file in fetched
        ],
    }
