"""Other histories in the report: what the policy did on resampled paths that it traded anew."""

from html import escape

from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.report.numbers import interval, number, percent, quantity
from regimegym.evaluate.report.reading import Report, unit_of
from regimegym.evaluate.report.sections import section
from regimegym.evaluate.report.tables import cell, definitions, table

SHOWN = ("total_return", "log_return", "sharpe_ratio", "sortino_ratio", "max_drawdown", "calmar", "trades", "turnover")


def history_heading(content: Report) -> str:
    """How often buy and hold is beaten, and how often half of the money is lost."""
    ruin = content["ruin"]
    return (
        f"Above buy and hold in {percent(content['above_buy_and_hold'], 0)} of {number(content['n_paths'], 0)} other "
        f"histories; a drawdown of {percent(content['ruin_drawdown'], 0)} or more in {percent(ruin['value'])}"
    )


def history_section(report: Report) -> str:
    """Intervals of the metrics over the paths, tails and ruin; nothing where none was drawn."""
    content = report.get("monte_carlo")
    if not content:
        return ""
    how = (
        "Blocks of this part's own bars are laid behind one another, features and regimes are computed on the new "
        "history, and the policy decides, pays and is stopped out anew. Dependence longer than a block is lost, and a "
        "crash that never happened cannot be drawn."
    )
    own = report["policies"][0]["metrics"]
    rows = [_row(name, content, own.get(name)) for name in SHOWN if name in content["intervals"]]
    head = ["Metric", "Median path", f"{percent(content['level'], 0)} of the paths", "As it happened"]
    chart = (
        '<figure class="optional"><div class="axis">Equity over the paths: median, half and nine tenths of them</div>'
        '<div class="chart" id="chart-histories"></div></figure>'
    )
    parts = [table(head, rows, "cards"), chart, _tails(content), definitions(_facts(content))]
    return section("histories", "Other histories", history_heading(content), how, *parts)


def _row(name: str, content: Report, happened: float | None) -> str:
    found = content["intervals"][name]
    return (
        f'<tr><th scope="row">{escape(METRICS[name].label)}</th>'
        + cell(f"<b>{_value(found['value'], name)}</b>", "Median path", "own full")
        + cell(interval(found["low"], found["high"], _unit(name), _signed(name)), "Paths", "full")
        + cell(_value(happened, name), "As it happened", "full")
        + "</tr>"
    )


def _tails(content: Report) -> str:
    levels = [percent(level, 1 if level < 0.01 or level > 0.99 else 0) for level in content["tail_levels"]]
    rows = [
        f'<tr><th scope="row">{escape(METRICS[name].label)}</th>'
        + "".join(cell(_value(value, name), level) for value, level in zip(content["tails"][name], levels, strict=True))
        + "</tr>"
        for name in METRICS
        if name in content["tails"]
    ]
    return table(["Share of the paths below", *levels], rows, "cards")


def _facts(content: Report) -> list[tuple[str, str]]:
    ruin = content["ruin"]
    fallen = (
        f"{percent(ruin['value'])} of the paths fall by {percent(content['ruin_drawdown'], 0)} from a peak "
        f"or are liquidated ({interval(ruin['low'], ruin['high'], 'percent')})"
    )
    worst = f"mean log return {number(content['expected_shortfall'], 3, True)}"
    return [("Ruin", fallen), ("Worst twentieth", worst)]


def _unit(name: str) -> str:
    return unit_of(name, METRICS[name].unit)


def _signed(name: str) -> bool:
    return METRICS[name].group == "return"


def _value(value: float | None, name: str) -> str:
    return quantity(value, _unit(name), _signed(name))
