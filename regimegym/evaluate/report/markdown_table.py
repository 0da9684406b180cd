"""A table in Markdown."""

from collections.abc import Iterator, Sequence

from regimegym.evaluate.report.numbers import DASH


def markdown_table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]] | map) -> Iterator[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(_cell(text) for text in row)} |"


def _cell(text: str) -> str:
    return plain_line(text).replace("|", "\\|") if text else DASH


def plain_line(text: str) -> str:
    """`text` on one line, single spaces."""
    return " ".join(text.split())
