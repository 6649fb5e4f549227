"""What a reader can use is named in the docs, and what the docs name is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from anomalies.models import Anomaly
from conductor.api.routes import api
from conductor.asgi import sockets
from conductor.urls import urlpatterns
from engagement.models import Session

ROOT = Path(settings.BASE_DIR)
FOLDERS = (".ci", ".github", "anomalies", "benchmarks", "conductor", "docs", "engagement", "static", "templates")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"), *(ROOT / "docs").rglob("*.md")])
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

BLOCK = re.compile(r"^ {4,}.*$", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE = re.compile(r"[\w.<>/-]+(\.(py|md|html|css|js|json|toml|txt|yml)|/)")


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return BLOCK.sub("", text)


def code(page: Path) -> list[str]:
    """Return what a page sets as code, a line or span each."""
    text = page.read_text()
    return [" ".join(piece.split()) for piece in BLOCK.findall(text) + SPAN.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def address(route: object) -> str:
    """Write a route as the docs do.

    >>> address("sessions/<uuid:session_id>/anomalies/<uuid:anomaly_id>/dismiss/")
    '/sessions/{id}/anomalies/{anomaly_id}/dismiss/'
    """
    return "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route)).lstrip("/").replace("{session_id}", "{id}")


def find_settings() -> list[str]:  # test_checks compares the example with what is read
    return re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)


def find_commands() -> Iterator[str]:
    return (f"manage.py {name}" for name, app in get_commands().items() if app == "conductor")


def find_targets() -> Iterator[str]:
    return (f"make {name}" for name in re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def find_calls() -> Iterator[str]:
    for path, operations in api.get_openapi_schema()["paths"].items():
        yield from (f"{method.upper()} {address(path)}" for method in operations)


def find_addresses() -> Iterator[str]:
    return (address(each.pattern) for each in urlpatterns)


def find_sockets() -> Iterator[str]:
    return (address(route.pattern) for route in sockets.inner.routes if str(route.pattern))


def find_metrics() -> Iterator[str]:
    source = (ROOT / "conductor" / "metrics.py").read_text()
    for counter, name in re.findall(r'(Counter)?\(\s*"(conductor_\w+)"', source):
        yield f"{name}_total" if counter else name


NAMES = {
    "setting": (find_settings, "docs/operations.md"),
    "command": (find_commands, "docs/operations.md"),
    "make target": (find_targets, "CONTRIBUTING.md"),
    "REST call": (find_calls, "docs/integrators.md"),
    "address": (find_addresses, "docs/operations.md"),
    "socket": (find_sockets, "docs/integrators.md"),
    "metric": (find_metrics, "docs/operations.md"),
    "anomaly type": (lambda: Anomaly.Type.values, "docs/organizers.md"),
    "detector state": (lambda: Session.DetectorState.values, "docs/integrators.md"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_docs_name_every(kind):
    find, page = NAMES[kind]
    names = set(find())
    said = [f" {piece} " for piece in code(ROOT / page)]
    missing = sorted(name for name in names if not any(f" {name} " in piece for piece in said))
    assert names
    assert not missing, f"{page} names no {kind} {', '.join(missing)}"


@EVERY_PAGE
def test_docs_link_to_what_is_there(page):
    for link in LINK.findall(prose(page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}, which is not there"
        assert not anchor or anchor in anchors(target.read_text()), f"{page.name} links to {link}: no such heading"


@EVERY_PAGE
def test_docs_name_files_that_are_there(page):
    """By their whole path, or by a name that some file has; `<…>` stands for what the reader chooses."""
    there = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*")} | set(ROOT.iterdir())
    names = {path.name for path in there}
    for word in {word for piece in code(page) for word in piece.split() if FILE.fullmatch(word)}:
        path = word.partition("<")[0].rpartition("/")[0] if "<" in word else word.rstrip("/")
        is_there = (ROOT / path).exists() or path in names
        assert is_there or word.startswith(("/", ".data/")), f"{page.name} names {word}, which is not there"


def test_readme_leads_to_every_page():
    pages = {str(page.relative_to(ROOT)) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    missing = sorted(pages - set(LINK.findall((ROOT / "README.md").read_text())))
    assert not missing, f"README.md does not lead to {', '.join(missing)}"
