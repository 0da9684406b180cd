"""Where the result came from: the parts of the P&L by regime, and what the closed trades say."""

from html import escape

from regimegym.evaluate.report.numbers import is_defined, number, percent, plural
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report.tables import cell, definitions, table

PARTS = {"market": "Mean exposure", "timing": "Timing", "carry": "Carry", "costs": "Costs", "total": "Together"}


def source_table(report: Report) -> str:
    """The parts of the P&L in every regime, in per cent of the start; they add up across and down."""
    by_regime, initial = report.get("pnl_parts_by_regime"), report["facts"]["initial_cash"]
    if not by_regime:
        return ""
    rows = [
        f'<tr><th scope="row"><span class="tag {escape(one["key"])}">{escape(one["letter"])}</span>'
        f"{escape(one['label'])}</th>{_parts(by_regime[one['key']], initial)}</tr>"
        for one in report["regimes"]["codes"]
        if one["key"] in by_regime
    ]
    rows.append(f'<tr class="here"><th scope="row">All bars</th>{_parts(report["pnl_parts"], initial)}</tr>')
    note = (
        "Per cent of the starting equity. Mean exposure: what holding the average exposure throughout would have "
        "earned; timing: what came from holding more or less than that at the right bars."
    )
    return f'{table(["Where it came from", *PARTS.values()], rows, "cards")}<p class="note">{note}</p>'


def _parts(parts: Report, initial: float) -> str:
    def share(name: str) -> str:
        text = percent(parts[name] / initial if is_defined(parts[name]) else None, 1, True)
        return f"<b>{text}</b>" if name == "total" else text

    return "".join(cell(share(name), label, "full" if name == "market" else "") for name, label in PARTS.items())


def trade_facts(report: Report) -> str:
    """Closed trades: what they won and lost, for how long, and how far the price went meanwhile."""
    found, closed = report.get("trade_statistics"), report["closed_trades"]
    if not found or not found["n"]:
        return ""
    initial = report["facts"]["initial_cash"]
    won = (
        f"{percent(found['win_rate'], 0)}, on average {_money(found['mean_win'], initial)} in "
        f"{number(found['mean_bars_won'], 1)} bars; the best twentieth of the trades made "
        f"{percent(found['best_twentieth_share'], 0)} of all gains"
    )
    lost = (
        f"on average {_money(found['mean_loss'], initial)} in {number(found['mean_bars_lost'], 1)} bars; "
        f"{number(found['longest_losing_streak'], 0)} in a row at most"
    )
    excursion = (
        f"{percent(found['mean_mfe'], 2)} for and {percent(found['mean_mae'], 2)} against the position on average "
        "while it was open (MFE, MAE)"
    )
    expected = (
        f"{_money(found['expectancy'], initial)} a trade; profit factor {number(found['profit_factor'])}, mean win to "
        f"mean loss {number(found['payoff_ratio'])}"
    )
    return definitions(
        [
            ("Closed trades", f"{plural(int(found['n']), 'trade')}, {number(closed['open'], 0)} still open"),
            ("Expected", expected),
            ("Won", won),
            ("Lost", lost),
            ("Excursions", excursion),
            ("One by one", "<code>trades.csv</code> beside this file: entry, exit, P&amp;L, bars, MFE and MAE"),
        ]
    )


def _money(value: float | None, initial: float) -> str:
    return percent(value / initial if is_defined(value) else None, 2, True)
