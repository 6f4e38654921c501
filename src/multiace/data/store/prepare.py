"""Make stores from extended XYZ, and make them again when they no longer belong to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multiace.data.bundled import data_path
from multiace.data.errors import DataError
from multiace.data.extxyz import iterate_structures
from multiace.data.frame_reader import LabelNames
from multiace.data.identity import file_digest
from multiace.data.store.header import (
    FORMAT_VERSION,
    Header,
    Keys,
    SourceFile,
    as_block,
    read_header,
)
from multiace.data.store.store import Store
from multiace.data.store.write import Reserved, Writer, header_block, new_hdf5, pieces

SUFFIXES = (".h5", ".hdf5")
"""What the name of a store ends with, wherever files are given."""

Note = Callable[[str], None]


def is_store(name: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file is a store.

    Example:
        >>> is_store("train.h5"), is_store("train.xyz")
        (True, False)
    """
    return Path(name).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class _Read:
    """A file to be read: its name, and its digest before."""

    name: str
    path: Path
    sha256: str


def prepare_store(
    sources: Sequence[str],
    out: str | os.PathLike[str],
    *,
    keys: Keys | None = None,
    cutoffs: Sequence[float] = (),
    progress: Callable[[int], None] = lambda _: None,
    note: Note = lambda _: None,
) -> Header:
    """Read extended XYZ with all its checks and write it as a store, whole or not at all.

    One piece of the structures is in memory at a time. A store of that name stays until the new
    one is on the disk and was read back; a process that is killed leaves `.NAME.tmp`, which the
    next one overwrites. The same sources give the same bytes.

    Args:
        sources: extended XYZ files, or `bundled:NAME`.
        out: the store, ending with .h5 or .hdf5.
        keys: names of the labels.
        cutoffs: Å; edges within each are counted.
        progress: is given the number of structures so far.
        note: takes a line for the user.

    Raises:
        DataError: sources that are wrong or changed while they were read, a name without such an
            ending, or a disk that cannot take the file.
    """
    path = Path(out)
    if not is_store(path):
        raise DataError(
            f"the name of a store ends with {' or '.join(SUFFIXES)}", file=path, value=str(out)
        )
    for name in sources:
        if is_store(name):
            raise DataError(
                "this is a store itself", file=name, hint="Give the files that it was made from."
            )
    with _alone(path, note) as temporary:
        return _prepare(list(sources), path, temporary, keys or Keys(), cutoffs, progress)


def _prepare(
    sources: Sequence[str],
    path: Path,
    temporary: Path,
    keys: Keys,
    cutoffs: Sequence[float],
    progress: Callable[[int], None],
) -> Header:
    """Write a store to a temporary file, read it back and rename it."""
    files = [_Read(str(data_path(n)), data_path(n), _digest(data_path(n))) for n in sources]
    within = tuple(sorted(set(map(float, cutoffs))))
    records = tuple(
        SourceFile(
            name=file.name,
            path=os.path.relpath(file.path, path.parent or "."),
            sha256=file.sha256,
            structures=0,
        )
        for file in files
    )
    header = Header(sources=records, keys=keys, cutoffs=within, atoms=0)
    with _disk_errors(path):
        header = _write(files, header, temporary, progress)
        Store(temporary).verify()
        os.replace(temporary, path)
        _synchronise(path.parent)
    return header


def _write(
    files: Sequence[_Read], header: Header, temporary: Path, progress: Callable[[int], None]
) -> Header:
    """Write the structures of all files; return the header with their numbers."""
    block = header_block(header)
    with Reserved(temporary) as reserved:
        reserved.reserve(block)
        with new_hdf5(temporary, block) as hdf5:
            writer = Writer(hdf5, reserved, header)
            counts = []
            for number, file in enumerate(files):
                before = writer.n_structures
                names = LabelNames(**header.keys.model_dump())
                structures = iterate_structures(file.path, names)
                for piece in pieces(structures):
                    writer.append(number, writer.n_structures - before, piece)
                    progress(writer.n_structures)
                if _digest(file.path) != file.sha256:
                    raise DataError("the file changed while it was read", file=file.path)
                counts.append(writer.n_structures - before)
            size = writer.finish()
        sources = tuple(
            source.model_copy(update={"structures": count})
            for source, count in zip(header.sources, counts, strict=True)
        )
        header = header.model_copy(update={"sources": sources, "atoms": writer.n_atoms})
        reserved.finish(size, as_block(header, block))
    return header


def fresh_store(
    path: str | os.PathLike[str],
    *,
    keys: Keys | None = None,
    cutoffs: Sequence[float] = (),
    note: Note = lambda _: None,
) -> Store:
    """Open a store; prepare it anew, and say so, if it no longer belongs to its sources.

    It is stale if a source has other bytes than it had, if it is damaged, if an earlier format
    wrote it, or if it lacks edge counts that are asked for. Without its sources a sound store is
    used as it is.

    Args:
        path: the store.
        keys: names of the labels; must be those that it was prepared with.
        cutoffs: Å; edge counts that are needed.
        note: takes lines for the user.

    Raises:
        DataError: not a store, one of a later version or with other keys, or one that is stale or
            damaged and whose sources are gone.
    """
    path = Path(path)
    header = read_header(path)
    _check_keys(path, header.keys, keys)
    wanted = tuple(sorted({*header.cutoffs, *map(float, cutoffs)}))
    reason = _stale(path, header, wanted)
    missing = header.missing_sources(path)
    if reason is None:
        if missing:
            note(f"{path}: {', '.join(missing)} cannot be found; the store is used as it is.")
        return Store(path)
    if missing:
        raise DataError(
            f"the store must be prepared anew, as {reason}, but {', '.join(missing)} cannot be "
            "found",
            file=path,
            hint="Put the files back, or prepare the store where they are.",
        )
    note(f"{path} is prepared anew: {reason}.")
    sources = [os.path.normpath(path.parent / source.path) for source in header.sources]
    names = [source.name for source in header.sources]
    prepare_store(
        [
            name if Path(name).is_file() else source
            for name, source in zip(names, sources, strict=True)
        ],
        path,
        keys=header.keys,
        cutoffs=wanted,
        note=note,
    )
    return Store(path)


def _stale(path: Path, header: Header, cutoffs: tuple[float, ...]) -> str | None:
    """Return why a store cannot be used as it is."""
    if header.format_version < FORMAT_VERSION:
        return f"it has format {header.format_version}, and now is {FORMAT_VERSION}"
    changes = header.changed_sources(path)
    if changes:
        return " and ".join(changes)
    lacking = [f"{cutoff:g} Å" for cutoff in cutoffs if cutoff not in header.cutoffs]
    if lacking:
        return f"it has no edge counts within {', '.join(lacking)}"
    try:
        store = Store(path)
        store.verify()
        store.close()
    except DataError as error:
        return error.problem
    return None


def _check_keys(path: Path, before: Keys, now: Keys | None) -> None:
    for name, key in now or Keys():
        had = getattr(before, name)
        if key is not None and key != had:
            option = name.replace("_", "-") if name == "stress_order" else f"{name}-key"
            raise DataError(
                f"the store was prepared with the {name} from {had or 'the usual name'!r}, not "
                f"from {key!r}",
                file=path,
                field=name,
                hint=f"Prepare it again with --{option} {key}, or leave data.keys.{name} out.",
            )


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except FileNotFoundError:
        raise DataError("there is no such file", file=path) from None


@contextmanager
def _alone(path: Path, note: Note) -> Iterator[Path]:
    """Hold the temporary file of a store; the system gives it back when the process ends."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _disk_errors(path):
        descriptor = _held(temporary, path, note)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def _held(temporary: Path, path: Path, note: Note) -> int:
    """Return the descriptor of the temporary file, locked by this process."""
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            import fcntl
        except ImportError:  # Windows has no such lock
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"Waiting for the process that prepares {path} now.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(temporary, descriptor):
            return descriptor
        os.close(descriptor)  # its holder renamed or removed it


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Say of an error of the disk which file could not be written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise DataError(
            f"the store cannot be written: {error.strerror or error}",
            file=path,
            hint="Free space on that disk, or choose another place with --out."
            if full
            else "A file of that name written earlier is unchanged.",
        ) from error


def _synchronise(directory: Path) -> None:
    """Make a rename survive a power failure; only POSIX systems can open a directory."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
