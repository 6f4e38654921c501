"""Build the documentation site into `site/` and check it: `python -m website`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from website.links import broken_links
from website.pages import ROOT, PageError, stage

CONFIG = ROOT / "zensical.toml"
STAGED = ROOT / "build" / "website"
SITE = ROOT / "site"
SHIM = "https://unpkg.com/iframe-worker/shim"
"""Script that Zensical loads so that search works on pages opened from disk."""


def main() -> int:
    """Write the pages, build them, check the result."""
    try:
        pages = stage(STAGED)
    except PageError as error:
        return _fail([str(error)])
    listed = set(re.findall(r'"([^"]+\.md)"', CONFIG.read_text(encoding="utf-8")))
    missing = sorted(set(pages) - listed)
    if missing:
        return _fail([f"{page} is nowhere in `nav` of {CONFIG.name}. Add it." for page in missing])
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=ROOT, check=False)
    if built.returncode:
        return built.returncode
    for page in SITE.rglob("*.html"):
        _use_own_shim(page)
    problems = broken_links(SITE)
    if problems:
        return _fail(problems)
    print(f"{len(pages)} pages: {SITE / 'index.html'}")
    return 0


def _use_own_shim(page: Path) -> None:
    own = "../" * len(page.relative_to(SITE).parents[:-1]) + "assets/search_from_disk.js"
    page.write_text(page.read_text(encoding="utf-8").replace(SHIM, own), encoding="utf-8")


def _fail(lines: list[str]) -> int:
    print("\n".join(lines), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
