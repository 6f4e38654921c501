"""A browser to open pages in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_browser() -> str:
    """Return the browser's program; skip the test, saying what to install, if there is none."""
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install playwright")
    named = os.environ.get("MULTIACE_BROWSER")
    program = named or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(
            "no Chromium found: install one (apt install chromium) or name it in MULTIACE_BROWSER"
        )
    return program


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser without a window."""
    program = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class OpenPage:
    """A page from disk, and all that it complained of or asked for.

    Args:
        browser: from `open_browser`.
        path: of the HTML file.
        options: of the browser's context: viewport, color_scheme, ...
    """

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_page(**options)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.resolve().as_uri())
        self.page.wait_for_selector("html[data-ready=true]", timeout=90_000)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def undrawn(self) -> list[str]:
        """Return the figures and views of which nothing can be seen."""
        return self.page.evaluate(
            """() => {
              const empty = [];
              for (const plot of document.querySelectorAll(".plot")) {
                const inside = plot.querySelector(".plot-container .main-svg");
                const marks = plot.querySelectorAll(
                  ".trace path, .heatmaplayer image, .shapelayer path, .points path");
                if (!inside || !marks.length) empty.push(plot.closest("figure").id);
              }
              for (const canvas of document.querySelectorAll("canvas")) {
                const pen = canvas.getContext("2d");
                const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
                if (!data.some((value) => value)) empty.push(canvas.closest("figure").id);
              }
              return empty;
            }"""
        )

    def too_wide(self) -> list[str]:
        """Return what makes the page wider than the window, and text smaller than 10 pixels."""
        return self.page.evaluate(
            """() => {
              const found = [];
              if (document.documentElement.scrollWidth > window.innerWidth) found.push("page");
              for (const plot of document.querySelectorAll(".plot, canvas")) {
                const { left, right } = plot.getBoundingClientRect();
                if (left < 0 || right > window.innerWidth + 0.5)
                  found.push(plot.closest("figure").id);
              }
              const texts = "p, td, th, dt, dd, text, figcaption";
              for (const element of document.querySelectorAll(texts))
                if (element.textContent && parseFloat(getComputedStyle(element).fontSize) < 10)
                  found.push(element.textContent);
              return found;
            }"""
        )
