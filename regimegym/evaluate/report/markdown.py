"""A page as Markdown: the same words, tables and numbers, for reviews, chats and diffs.

It is read off the page itself, so the two cannot say different things. Charts, buttons and the trees of the run card
are left out.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from regimegym.evaluate.report.numbers import DASH, NO_BREAK

VOID = {"meta", "br", "input", "img", "link", "hr"}
SKIPPED_TAGS = {"head", "script", "style", "nav", "button", "svg", "figure", "footer"}
SKIPPED_CLASSES = {"eyebrow", "places", "noscript", "trees"}
# What begins a line of its own, by tag or by class, and with what.
LINES = {"h1": "# ", "h2": "## ", "p": "", "li": "- ", "dt": "- ", "summary": "", "pre": "    "}
CLASS_LINES = {"stamp": "", "l": "- ", "axis": ""}
BOLD_TAGS = {"dt", "summary", "b"}  # outside of tables
BOLD_CLASSES = {"q", "stamp"}
APART = {"small", "span", "b", "div", "dd"}  # what they hold is a word of its own
ENDS = {*LINES, "dd", "table"}


def markdown_of(page: str) -> str:
    """The Markdown text of an HTML page or a part of it that this package rendered."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(reader.lines())).strip() + "\n"


class _Reader(HTMLParser):
    """Collects blocks: lines with their beginning, and tables as rows of cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[tuple[bool, str]] = []  # of every open tag: whether it is left out, and what ends its text
        self.blocks: list[str | list[list[str]]] = []
        self.begin, self.text = "", ""
        self.row: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        if tag in VOID:
            return
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        out = self._is_out() or tag in SKIPPED_TAGS or bool(classes & SKIPPED_CLASSES) or "aria-hidden" in given
        bold = (tag in BOLD_TAGS and self.row is None) or bool(classes & BOLD_CLASSES)
        self.stack.append((out, "** " if bold else " " if tag in APART else ""))
        if not out:
            self._open(tag, next((CLASS_LINES[name] for name in classes & CLASS_LINES.keys()), LINES.get(tag)))
            self._add("**" if bold else " " if tag in APART else "")

    def _open(self, tag: str, beginning: str | None) -> None:
        if tag == "table":
            self._flush()
            self.blocks.append([])
        elif tag == "tr":
            self.row = []
        elif tag in ("th", "td") and self.row is not None:
            self.row.append("")
        elif self.row is None and beginning is not None:
            self._flush()
            self.begin = beginning

    def handle_endtag(self, tag: str) -> None:
        """An element closes."""
        if tag in VOID or not self.stack:
            return
        out, ending = self.stack.pop()
        if out:
            return
        if ending.startswith("**"):
            self.text = self.text.rstrip()
        self._add(ending)
        if tag == "tr" and self.row is not None and isinstance(self.blocks[-1], list):
            self.blocks[-1].append(self.row)
            self.row = None
        elif self.row is None and tag in ENDS - {"dt"}:
            self._flush()

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if not self._is_out():
            self._add(data)

    def close(self) -> None:
        """The end."""
        super().close()
        self._flush()

    def _is_out(self) -> bool:
        return bool(self.stack) and self.stack[-1][0]

    def _add(self, text: str) -> None:
        if self.row:
            self.row[-1] += text
        elif self.row is None:
            self.text += text

    def _flush(self) -> None:
        text = _plain(self.text)
        if text:
            self.blocks.append(f"{self.begin}{text}")
        self.begin, self.text = "", ""

    def lines(self) -> Iterator[str]:
        """The lines of the text; a blank one between what is not of one list."""
        before = ""
        for block in self.blocks:
            if isinstance(block, list):
                yield ""
                yield from _table(block)
                yield ""
                before = ""
                continue
            if not (block.startswith("- ") and before.startswith("- ")):
                yield ""
            yield block
            before = block


def _plain(text: str) -> str:
    return re.sub(r" (?=[,.;:](?: |$))", "", " ".join(text.replace(NO_BREAK, " ").split()))


def _table(rows: list[list[str]]) -> Iterator[str]:
    """A table of Markdown; columns without any text, which hold drawings, are left out."""
    width = max(len(row) for row in rows)
    full = [[_cell(text) for text in row] + [""] * (width - len(row)) for row in rows]
    kept = [k for k in range(width) if any(row[k] for row in full)]
    for number, row in enumerate(full):
        yield f"| {' | '.join(row[k] or (DASH if number else '') for k in kept)} |"
        if number == 0:
            yield f"|{'|'.join(['---', *['---:'] * (len(kept) - 1)])}|"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")
