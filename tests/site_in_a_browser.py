"""A built site in headless Chromium: what it writes to the console, asks of the network, and what axe-core finds.

Needs Playwright (a development package) and a Chromium of the system; there is nothing to test with where none is.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "msedge")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
GRAVE = ("serious", "critical")


@dataclass
class Seen:
    """What happened while pages were open."""

    messages: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def chromium() -> str:
    """The browser of the system; skips where there is none."""
    pytest.importorskip("playwright", reason="Playwright is not installed: pages are not opened in a browser")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser of the system ({', '.join(NAMES)}): pages are not opened in a browser")
    return found


@contextmanager
def opened(*, size: dict[str, int] = DESK) -> Iterator[tuple[Any, Seen]]:
    """A page of a browser, and what is seen while it is used."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_context(viewport=size).new_page()
        seen = Seen()
        page.on("console", lambda message: seen.messages.append(f"{page.url}: {message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.messages.append(f"{page.url}: {error}"))
        page.on("request", lambda request: _note(request.url, seen.outside))
        page.on("requestfailed", lambda request: seen.failed.append(request.url))
        try:
            yield page, seen
        finally:
            browser.close()


def _note(address: str, outside: list[str]) -> None:
    if not address.startswith(("file:", "data:")):
        outside.append(address)


def violations(page: Any) -> list[str]:
    """Serious and critical violations of the rules of axe-core on the page that is open."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {rule['id']} ({len(rule['nodes'])}): {rule['nodes'][0]['html'][:120]}"
        for rule in found
        if rule["impact"] in GRAVE
    ]


def wider_than_the_screen(page: Any) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def pages_of(site: Path) -> list[Path]:
    """All pages of a built site, those of notebooks apart."""
    return sorted(file for file in site.glob("*/**/*.html") if "notebooks" not in file.parts)


def one_of_each_kind(site: Path, lang: str) -> list[Path]:
    """The pages of one language; of folders with many alike, the first two."""
    folders = [folder for folder in (site / lang).iterdir() if folder.is_dir()]
    return sorted((site / lang).glob("*.html")) + [
        page for folder in sorted(folders) for page in sorted(folder.glob("*.html"))[:2]
    ]


class _Anchors(HTMLParser):
    """Ids of a page and the addresses that it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        self.addresses |= {value for name in ("href", "src") if (value := given.get(name))}


def dead_links(site: Path) -> list[str]:
    """Links within the site whose file, or whose place in a page, is not there."""
    read = {page.resolve(): _Anchors(page.read_text(encoding="utf-8")) for page in pages_of(site)}
    pointed = [(page, address) for page, anchors in read.items() for address in sorted(anchors.addresses)]
    return [f"{page.relative_to(site.resolve())}: {address}" for page, address in pointed if _dead(page, address, read)]


def _dead(page: Path, address: str, read: dict[Path, _Anchors]) -> bool:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return False
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return True
    return bool(parts.fragment) and target in read and unquote(parts.fragment) not in read[target].ids
