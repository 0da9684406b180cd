"""What an evaluation leaves behind: metrics.json, equity.parquet, trades.csv, and the report in three forms."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from regimegym.agents.card import ModelCard
from regimegym.agents.gate import Gate
from regimegym.common.policy import Policy
from regimegym.envs.settings import AccountSettings
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.report.build import render_report
from regimegym.evaluate.report.markdown import markdown_of
from regimegym.evaluate.report.page import write_page
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report_calibration import calibration_content
from regimegym.evaluate.report_content import to_report
from regimegym.evaluate.report_facts import ReportContext, one_way_cost
from regimegym.evaluate.trajectory import to_frame
from regimegym.evaluate.verdict import as_return
from regimegym.features.bars import NS_PER_SECOND, Bars
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape
from regimegym.training.run_folder import RunFolder, read_json, refused_by_machine
from regimegym.training.summary import Block


def write_outcome(folder: RunFolder, evaluations: Sequence[Evaluation], context: ReportContext) -> Report:
    """Write the results of all parts; the report shows the last one, and its content is returned.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    folder.write_json(folder.metrics.name, {found.part: found.metrics for found in evaluations})
    _write_equity(folder, evaluations)
    trades = pd.concat([found.trades.assign(part=found.part) for found in evaluations], ignore_index=True)
    folder.write_text("trades.csv", trades.to_csv(index=False))
    report = to_report(evaluations[-1], context)
    write_reports(folder, report)
    return report


def write_reports(folder: RunFolder, report: Report) -> None:
    """The same content three times: report.json, report.md, report.html. Raises MachineError."""
    folder.write_json(folder.report_json.name, report)
    page = render_report(report)
    folder.write_text(folder.report_md.name, markdown_of(page))
    write_page(page, folder.report_html)


def _write_equity(folder: RunFolder, evaluations: Sequence[Evaluation]) -> None:
    frames = [to_frame(found.trajectories).assign(part=found.part) for found in evaluations]
    table = pd.concat(frames, ignore_index=True)
    temporary = folder.equity.with_name(f".{folder.equity.name}.part")
    with refused_by_machine(folder.equity, len(table) * 100, kept="what stood there before"):
        try:
            table.to_parquet(temporary, index=False)
            temporary.replace(folder.equity)
        finally:
            temporary.unlink(missing_ok=True)


def report_context(
    folder: RunFolder,
    bars: Bars,
    card: ModelCard,
    *,
    settings: Any,
    looks: int | None,
    trials: int,
    validation: Mapping[str, float] | None,
    commands: Sequence[tuple[str, str]],
    **measured: Any,
) -> ReportContext:
    """What the report says about the run itself.

    Args:
        settings: the run's resolved configuration, as plain values.
        looks: looks at the shown part before this one; None where it is no test.
        trials: configurations scored on validation so far.
        validation: the agent's validation metrics, to show the shrinkage; None without.
        commands: (label, command) pairs to paste.
        measured: what was, by the name that it has in ReportContext.
    """
    return ReportContext(
        source=bars.source,
        data_fingerprint=bars.fingerprint,
        run_id="/".join(folder.path.parts[-2:]),
        run_folder=str(folder.path),
        random_seeds=[card.random_seed],
        created_ms=int(datetime.now(tz=UTC).timestamp() * 1000),
        test_looks_before=looks,
        trials_counted=trials,
        validation=validation,
        run_card={
            "model": {
                "algorithm": card.algorithm,
                "trained steps": card.trained_steps,
                "features": f"{card.n_features} × {card.window} bars, hash {card.feature_hash}",
                "actions": card.n_actions or "continuous",
                "gate": gate_words(card.entrance()),
            },
            "settings": settings,
            "manifest": folder.read_manifest(),
        },
        commands=commands,
        **measured,
    )


def calibration_of(
    policy: Policy, card: ModelCard, tape: MarketTape, rows: RowRange, account: AccountSettings
) -> dict[str, Any] | None:
    """How the policy's values and its regime detector were met on `rows`; None where it states neither."""
    if not card.n_actions:
        return None
    return calibration_content(policy, tape, rows, card.window, card.roles(), one_way_cost(account))


def gate_words(gate: Gate | None) -> str:
    """What the gate did, for people."""
    if gate is None:
        return "none"
    if gate.is_open:
        return f"open: t = {gate.t_statistic:.1f} on validation, above {gate.threshold:g}"
    return f"closed, the model stays flat: t = {gate.t_statistic:.1f} on validation, not above {gate.threshold:g}"


def summary_block(found: Evaluation) -> Block:
    """The rows of the summary in the terminal."""
    intervals = {
        key: (as_return(interval.low), as_return(interval.high))
        for key, interval in found.intervals.log_return.items()
        if key != "hindsight"  # it knows this very path: resampling it means nothing
    }
    return Block(found.part.capitalize(), period(found.agent.timestamps), found.metrics, intervals)


def period(timestamps: np.ndarray) -> str:
    """First and last date of `timestamps` (UTC nanoseconds)."""
    return f"{day(timestamps[0])} … {day(timestamps[-1])}"


def day(timestamp: int) -> str:
    """Date of a timestamp in UTC nanoseconds."""
    return f"{datetime.fromtimestamp(int(timestamp) // NS_PER_SECOND, tz=UTC):%Y-%m-%d}"


def validation_of(run: RunFolder, part: str) -> dict[str, float] | None:
    """The agent's validation metrics as the training left them, to show beside its test; None elsewhere."""
    found = read_json(run.metrics).get("validation", {}).get("agent")
    if part != "test" or not found:
        return None
    return {name: float("nan") if value is None else float(value) for name, value in found.items()}
