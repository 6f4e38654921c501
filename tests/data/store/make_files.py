"""Write a store of this version and the digests of its structures: once for each format version.

    python -m tests.data.store.make_files

Files of earlier versions are never made again: they show what was written then.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.training import tiny

from multiace.data import prepare_store, read_structures
from multiace.data.identity import structure_digest
from multiace.data.store.header import FORMAT_VERSION

FILES = Path(__file__).parent / "files"


def main() -> None:
    """Write molecules and crystals."""
    FILES.mkdir(exist_ok=True)
    os.chdir(FILES)
    source = tiny.write(Path(f"v{FORMAT_VERSION}.xyz"), [*tiny.molecules(3), *tiny.crystals(2)])
    prepare_store([str(source)], f"v{FORMAT_VERSION}.h5", cutoffs=[3.0])
    digests = [structure_digest(structure).hex() for structure in read_structures(source)]
    Path(f"v{FORMAT_VERSION}.json").write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    main()
