"""The drawing of the progress: pure functions from `Progress` to lines of text.

The panel has at most 18 lines. Columns are as wide as their widest cell; when they do not fit,
the series go first, then the latest values, so that no number is ever cut.
"""

import math
from collections.abc import Sequence

from rich.text import Text

from regimegym.training.episodes import EpisodeSummary
from regimegym.training.formatting import count, decimals, duration, number, percent, size, with_error
from regimegym.training.progress import Progress, RunHeader, Snapshot, ValidationLine

AGENT, BUY_HOLD, DIM = "cyan", "dark_orange", "bright_black"
REGIME_STYLES = (("U", "green"), ("D", "red"), ("P", "white"), ("O", "magenta"))
BARS = "▁▂▃▄▅▆▇█"
SERIES = ("reward", "equity", "exposure", "loss")
LEAST_SPARK, MOST_SPARK = 8, 40


def series_values(snapshot: Snapshot) -> dict[str, float]:
    """The values that are drawn as series since the start."""
    episodes = snapshot.episodes
    return {
        "reward": episodes.reward_mean,
        "equity": episodes.equity_mean,
        "exposure": episodes.exposure_mean,
        "loss": _loss_value(snapshot),
    }


def lines(progress: Progress, width: int) -> list[Text]:
    """The whole panel for a terminal of `width` columns."""
    blank = Text("")
    return [
        *header_lines(progress.header, width),
        blank,
        _bar_line(progress, width),
        *_table(progress, width),
        _regime_line(progress.snapshot.regime_shares, width),
        blank,
        *_validation_lines(progress, width),
        _time_line(progress, width),
        _fit([Text("Ctrl-C saves and stops."), Text("TensorBoard: tensorboard --logdir runs")], width, " ", DIM),
    ]


def header_lines(header: RunHeader, width: int) -> list[Text]:
    """Command and folder, data, regimes, environment, agent; parts that do not fit are left out."""
    command = Text.assemble((header.command, "bold"), (" → ", DIM), header.folder)
    if command.cell_len > width:
        command = Text.assemble((" ".join(header.command.split()[:2]), "bold"), (" … → ", DIM), header.folder)
    if command.cell_len > width:
        command = Text(header.folder)
    labelled = (
        ("data  ", header.data),
        ("class ", header.regimes),
        ("env   ", header.env),
        ("agent ", header.agent),
    )
    rest = [_labelled(label, text.split(" · "), width) for label, text in labelled if text]
    return [command, *rest]


def sparkline(points: Sequence[float], width: int) -> str:
    """`points` as at most `width` bars from the least to the greatest value."""
    if not points or width < 1:
        return ""
    n = min(width, len(points))
    means = []
    for i in range(n):
        bucket = points[i * len(points) // n : (i + 1) * len(points) // n]
        means.append(sum(bucket) / len(bucket))
    low, span = min(means), max(means) - min(means)
    top = len(BARS) - 1
    return "".join(BARS[round(top * (value - low) / span)] if span > 0 else BARS[0] for value in means)


def progress_line(progress: Progress) -> str:
    """One key=value line for logs; plain ASCII numbers, undefined ones left out."""
    snapshot, episodes = progress.snapshot, progress.snapshot.episodes
    parts = [
        f"train step={snapshot.step:,}/{progress.total_steps:,}",
        f"done={_share_done(progress):.0%}",
        f"sps={_ascii(progress.steps_per_second, '.0f')}",
        f"eta={duration(progress.eta) if math.isfinite(progress.eta) else 'nan'}",
        f"reward_shaped100={_ascii(episodes.reward_mean, '+.2f')}",
        f"equity100={_ascii(episodes.equity_mean, '+.1%')}",
        f"bh100={_ascii(episodes.buy_hold_mean, '+.1%')}",
        f"expo={_ascii(episodes.exposure_mean, '.2f')}",
        f"loss={_ascii(_loss_value(snapshot), '.4g')}",
    ]
    if progress.best is not None:
        parts.append(f"val_best={_ascii(progress.best.log_return, '+.3f')}@{count(progress.best.step)}")
    # What is not known yet (no episode has ended) is left out.
    return " ".join(part for part in parts if not part.endswith("=nan"))


def validation_line(v: ValidationLine) -> str:
    """One key=value line of a validation."""
    line = (
        f"valid step={v.step:,} log_return={_ascii(v.log_return, '+.3f')} "
        f"buy_hold={_ascii(v.buy_hold, '+.3f')} "
        f"ma_cross={_ascii(v.ma_cross, '+.3f')} drawdown={_ascii(v.drawdown, '.2f')} trades={v.trades}"
    )
    return f"{line} NEW BEST {v.saved or ''}".rstrip() if v.is_best else line


def _loss_value(snapshot: Snapshot) -> float:
    return snapshot.loss_mean if math.isfinite(snapshot.loss_mean) else snapshot.loss_now


def _share_done(progress: Progress) -> float:
    return min(progress.snapshot.step / max(progress.total_steps, 1), 1.0)


def _bar_line(progress: Progress, width: int) -> Text:
    done = _share_done(progress)
    parts = [
        Text.assemble((f"{100 * done:3.0f} %", "bold")),
        Text(f"{count(progress.snapshot.step)}/{count(progress.total_steps)}"),
        Text.assemble((number(progress.steps_per_second, 0), "bold"), " steps/s"),
        Text.assemble(duration(progress.elapsed), (" gone", DIM)),
        Text.assemble((duration(progress.eta), "bold"), (" left", DIM)),
    ]
    fixed = len("train ") + sum(part.cell_len + 1 for part in parts)
    bar = width - fixed
    full = round(max(bar, 0) * done)
    line = Text.assemble("train ", ("━" * full, AGENT), ("━" * (bar - full), DIM)) if bar >= 4 else Text("train")
    return _fit([line, *parts], width, " ")


def _table(progress: Progress, width: int) -> list[Text]:
    snapshot, episodes = progress.snapshot, progress.snapshot.episodes
    many = f"last {episodes.n} episodes"
    rows = [
        ("", "latest", many, "since start", DIM),
        ("reward, shaped", *_reward(episodes), "reward", ""),
        ("equity", *_return(episodes.equity_now, episodes.equity_mean, episodes.equity_se), "equity", "bold"),
        (
            "buy & hold",
            *_return(episodes.buy_hold_now, episodes.buy_hold_mean, episodes.buy_hold_se),
            "same episodes",
            BUY_HOLD,
        ),
        (
            "exposure · trades",
            percent(episodes.exposure_now, 0),
            f"{percent(episodes.exposure_mean, 0)} · {number(episodes.trades_per_1000, 0)} per 1,000 bars",
            "exposure",
            "",
        ),
        ("loss · Q · ε", *_loss(snapshot), "loss", ""),
    ]
    first = max(len(row[0]) for row in rows)
    latest = max(10, *(len(row[1]) + 2 for row in rows))
    mean = max(len(row[2]) + 2 for row in rows)
    spark = min(width - first - latest - mean - 2, MOST_SPARK)
    with_latest = first + latest + mean <= width
    drawn = []
    for label, now, text, last, style in rows:
        line = Text(f"{label:<{first}}", style="" if style == "bold" else style)
        if with_latest:
            line.append(f"{now:>{latest}}", style)
        line.append(f"{text:>{mean}}", style)
        if spark >= LEAST_SPARK:
            history = progress.histories.get(last)
            series = sparkline(history.points, spark) if history else last
            line.append("  ").append(series, AGENT if history else DIM)
        drawn.append(line)
    return drawn


def _reward(episodes: EpisodeSummary) -> tuple[str, str]:
    now = number(episodes.reward_now, decimals(episodes.reward_now), signed=True)
    return now, with_error(episodes.reward_mean, episodes.reward_se)


def _return(now: float, mean: float, error: float) -> tuple[str, str]:
    return percent(now, 1, signed=True), with_error(mean, error, scale_percent=True)


def _loss(snapshot: Snapshot) -> tuple[str, str]:
    values = (snapshot.loss_mean, snapshot.q_mean, snapshot.epsilon)
    mean = " · ".join(number(value, decimals(value)) for value in values)
    return number(snapshot.loss_now, decimals(snapshot.loss_now)), mean


def _regime_line(shares: Sequence[float], width: int) -> Text:
    label = Text(f"{'regimes in replay':<19}")
    if not shares:
        return label.append("–")
    regimes = zip(REGIME_STYLES, shares, strict=True)
    texts = [(letter, style, share, percent(share, 0)) for (letter, style), share in regimes]
    room = min(width - label.cell_len - sum(len(text) + 4 for _, _, _, text in texts), 24)
    parts = []
    for letter, style, share, text in texts:
        bar = round(room * share) if room >= 8 and math.isfinite(share) else 0
        parts.append(Text.assemble((f"{letter} ", "bold"), ("█" * bar + " " * bool(bar), style), text))
    return label.append_text(_fit(parts, width - label.cell_len, " "))


def _validation_lines(progress: Progress, width: int) -> list[Text]:
    best, last = progress.best, progress.last
    if best is None or last is None:
        return [_labelled("validation  ", ["none yet"], width, "bold"), Text("")]
    first = [
        f"best {_signed(best.log_return)} log return at {count(best.step)}",
        f"buy & hold {_signed(best.buy_hold)}",
        f"MA {_signed(best.ma_cross)}",
    ]
    second = [f"last {_signed(last.log_return)} at {count(last.step)}"]
    if last.next_step is not None:
        second.append(f"next at {count(last.next_step)}")
    if last.patience is not None:
        second.append(f"no new best {last.without_best} of {last.patience} times")
    return [
        _labelled("validation  ", first, width, "bold"),
        _labelled("            ", second, width),
    ]


def _time_line(progress: Progress, width: int) -> Text:
    snapshot = progress.snapshot
    shares = (
        ("env", snapshot.share_env),
        ("learn", snapshot.share_learn),
        ("validate", snapshot.share_validate),
    )
    known = [f"{name} {percent(share, 0)}" for name, share in shares if math.isfinite(share)]
    parts = [", ".join(known) if width >= 60 else " ".join(known[:2])] if known else []
    if progress.best is not None and progress.best.saved is not None:
        parts.append(f"saved at {count(progress.best.step)}")
    parts.append(f"{size(progress.free_bytes)} free")
    line = _labelled("time        ", parts, width)
    line.stylize(DIM)
    return line


def _labelled(label: str, parts: Sequence[str], width: int, style: str = DIM) -> Text:
    line = Text(label, style)
    body = _fit([Text(part) for part in parts], width - len(label), " · ")
    return Text().append_text(line).append_text(body)


def _fit(parts: Sequence[Text], width: int, joint: str, style: str = "") -> Text:
    """The first parts that fit into `width` together; at least the first one, whole."""
    line = parts[0].copy()
    for part in parts[1:]:
        if line.cell_len + len(joint) + part.cell_len > width:
            break
        line.append(joint).append_text(part)
    line.stylize(style)
    return line


def _signed(value: float) -> str:
    return number(value, 3, signed=True)


def _ascii(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "nan"
