"""A user's mistake as the terminal shows it, with colours where there are any."""

import re

from rich.console import Console
from rich.text import Text

from regimegym.cli.config_messages import config_error_from_hydra
from regimegym.common.errors import RegimeGymError

__all__ = ["config_error_from_hydra", "error_text", "render_error"]

DIM, MARK, HELP = "bright_black", "bold red", "bold cyan"
LABEL = re.compile(r"  (needed|found|nearest|help)(\s+)(.*)")


def render_error(error: RegimeGymError, console: Console) -> None:
    """Print the message; nothing is wrapped, so commands can be pasted.

    Colours appear on a terminal only, and not where NO_COLOR is set (rich sees to both).
    """
    for line in error_text(error):
        console.print(line, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def error_text(error: RegimeGymError) -> list[Text]:
    """The lines of the message with their styles; the plain text is `error.lines()`."""
    first, *rest = error.lines()
    title = f"{error.group}/{error.name}"
    styled = [Text.assemble(("error", MARK), " ", (title, DIM), (first.removeprefix(f"error {title}"), "bold"))]
    styled += [_place(line) for line in rest[: len(error.place)]]
    body = rest[len(error.place) :]
    n_closing = 1 + (error.kept is not None)
    styled += [_advice(line) for line in body[:-n_closing]]
    return styled + [Text(line, DIM) for line in body[-n_closing:]]


def _place(line: str) -> Text:
    if line.startswith("  ┌"):
        return Text(line, DIM)
    text = Text(line)
    text.stylize(DIM, 0, 3)
    carets = re.fullmatch(r"  │ \s*(\^+)( .*)?", line)
    if carets:
        text.stylize(MARK, *carets.span(1))
    return text


def _advice(line: str) -> Text:
    found = LABEL.fullmatch(line)
    if found is None:
        return Text(line)
    label, space, content = found.groups()
    if label == "help":
        return Text.assemble("  ", (label, HELP), space, content)
    name, bracket, more = content.partition(" (") if label == "nearest" else (content, "", "")
    style = "bold" if label == "nearest" else ""
    return Text.assemble("  ", (label, DIM), space, (name, style), (bracket + more, DIM))
