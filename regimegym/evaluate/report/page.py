"""One self-contained HTML page: style, scripts and numbers are in the file, and it loads nothing.

Its content security policy forbids the network and every script but its own.
"""

import base64
import hashlib
import os
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from regimegym.common.errors import MachineError
from regimegym.evaluate.report.figures import embed_json


class Page(NamedTuple):
    """What differs from page to page; all texts are HTML.

    Attributes:
        tab: of the window. kind: what the page is. title: its heading.
        facts: strip below the heading. body: everything between the header and the footer.
        files: where the same content stands as data and as text.
        scripts: files of this folder, in their order. data: what they draw.
    """

    tab: str
    kind: str
    title: str
    facts: str
    body: str
    files: str
    scripts: Sequence[str]
    data: Any


def render_page(page: Page) -> str:
    """The HTML text."""
    script = "(() => {\n" + "\n".join(map(part_of, page.scripts)) + "})();"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(part_of("page.html")).substitute(
        tab=page.tab,
        kind=page.kind,
        title=page.title,
        facts=page.facts,
        body=page.body,
        files=page.files,
        style=part_of("style.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        data=embed_json(page.data),
    )


def part_of(name: str) -> str:
    """The text of a file of this folder: template, style or script."""
    return (resources.files("regimegym.evaluate.report") / name).read_text(encoding="utf-8")


def write_page(text: str, path: Path) -> None:
    """Write one HTML file, whole or not at all. Raises MachineError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(text, path)
    except OSError as error:
        raise MachineError("report-not-written", f"the report cannot be written to {path}: {error.strerror}") from error


def _write_whole(text: str, path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
