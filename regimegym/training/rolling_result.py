"""What a rolling training gives: one account over all windows, beside buy and hold, and how the models drift."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.console import Console

from regimegym.agents.checkpoint import load_policy_object
from regimegym.common.policy import TapePolicy
from regimegym.common.seeding import generator
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.evaluate.baselines import BuyAndHold
from regimegym.evaluate.intervals import Interval, log_return_intervals
from regimegym.evaluate.metrics import log_return
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.walk_forward import FoldModel, WalkedForward, trade_in_turn
from regimegym.features.market import Market
from regimegym.features.splits import RowRange
from regimegym.training.formatting import number, percent
from regimegym.training.model_at_work import load_policy
from regimegym.training.rolling_report import PAGE, write_rolling_report
from regimegym.training.run_folder import RunFolder, read_json, refused_by_machine
from regimegym.training.wiring import build, own_code


class WindowResult(NamedTuple):
    """One window of the result.

    Attributes:
        name, test_from, test_until: which, and its dates.
        model: name of the window whose model traded it.
        validation, test: log returns of the model: on its own validation, and in its turn.
        buy_and_hold: log return of buy and hold in the same turn.
        weights_moved: relative change ‖θ − θ′‖/‖θ′‖ of the weights since the model before; NaN for the first.
        decisions_moved: share of the rows of this test on which it decides otherwise than the model before,
            asked with a flat account; NaN for the first.
    """

    name: str
    test_from: str
    test_until: str
    model: str
    validation: float
    test: float
    buy_and_hold: float
    weights_moved: float
    decisions_moved: float


def finish_rolling(
    config: DictConfig, market: Market, folder: RunFolder, windows: Sequence[dict[str, Any]], console: Console
) -> float:
    """Trade all windows in turn, write equity.parquet, metrics.json and walk_forward.json, print the table.

    Returns:
        Log return of the account, net of costs.
    """
    models = fold_models(market, folder, windows, list(own_code(config).values()))
    settings = build(config.env)
    agent = trade_in_turn(models, settings)
    held = trade_in_turn([model._replace(policy=BuyAndHold(settings)) for model in models], settings)
    own, above = _intervals(agent, held, build(config.evaluation), int(config.random_seed))
    results = window_results(folder, windows, models, agent, held)
    _write(folder, agent, held)
    label = read_json(folder.path / windows[0]["folder"] / "report.json")["facts"]["agent"]
    title = f"{label} on {market.bars.symbol}, window after window"
    described = [
        result._asdict() | {"reason": window.get("reason", "")} for result, window in zip(results, windows, strict=True)
    ]
    seed = int(config.random_seed)
    write_rolling_report(folder, title, agent, held, described, (own, above), build(config.evaluation), seed)
    _print(console, folder, agent, held, (own, above), results)
    return own.value


def fold_models(
    market: Market, folder: RunFolder, windows: Sequence[dict[str, Any]], trust: Sequence[str] = ()
) -> list[FoldModel]:
    """The model that trades each window, with the rows it trades; `trust` as of `load_policy`.

    Raises:
        ModelError: a window without a model.
    """
    loaded: dict[int, FoldModel] = {}
    models = []
    for window in windows:
        k = int(window["model_of"])
        if k not in loaded:
            trader = load_policy(folder.path / windows[k]["folder"], trust=trust)
            tape = trader.tape(market.bars, market.context)
            loaded[k] = FoldModel(trader.policy(market.bars.symbol), tape, RowRange(0, 0))
        tape = loaded[k].tape
        dates = [pd.Timestamp(window[name]).as_unit("ns").value for name in ("test_from", "test_until")]
        start, stop = (int(row) for row in np.searchsorted(tape.timestamps, dates))
        models.append(loaded[k]._replace(rows=RowRange(start, stop)))
    return models


def _intervals(
    agent: WalkedForward, held: WalkedForward, evaluation: EvaluationSettings, random_seed: int
) -> tuple[Interval, Interval]:
    returns = np.stack([np.concatenate([t.log_returns for t in found.trajectories]) for found in (agent, held)])
    draws = generator(random_seed, "walk-forward")
    n_trades = sum(trajectory.n_trades for trajectory in agent.trajectories)
    own, above = log_return_intervals(returns, n_trades, evaluation.intervals, draws)
    return own[0], above[0]


def window_results(
    folder: RunFolder,
    windows: Sequence[dict[str, Any]],
    models: Sequence[FoldModel],
    agent: WalkedForward,
    held: WalkedForward,
) -> list[WindowResult]:
    """The windows one by one; the log return of a window ends with the mark that the next one begins with."""
    weights = {k: _weights(folder, window) for k, window in enumerate(windows) if window["model_of"] == k}
    results = []
    for k, window in enumerate(windows):
        used = int(window["model_of"])
        before = None if k == 0 else int(windows[k - 1]["model_of"])
        moved, otherwise = (float("nan"), float("nan"))
        if before is not None:
            moved = float(np.linalg.norm(weights[used] - weights[before]) / np.linalg.norm(weights[before]))
            otherwise = _disagreement(models[k - 1], models[k])
        results.append(
            WindowResult(
                window["name"],
                window["test_from"],
                window["test_until"],
                windows[used]["name"],
                _validation(folder, windows[used]),
                _part(agent.frame, k + 1),
                _part(held.frame, k + 1),
                moved,
                otherwise,
            )
        )
    return results


def _part(frame: pd.DataFrame, fold: int) -> float:
    """Log return from the first mark of a fold to the first one of the next, or to the last mark."""
    rows = np.flatnonzero(frame["fold"].to_numpy() == fold)
    if len(rows) == 0:
        return float("nan")
    stop = min(rows[-1] + 1, len(frame) - 1)
    return log_return(frame["agent_equity"].to_numpy()[rows[0] : stop + 1])


def _validation(folder: RunFolder, window: dict[str, Any]) -> float:
    metrics = read_json(folder.path / window["folder"] / "metrics.json")
    value = metrics.get("validation", {}).get("agent", {}).get("log_return")
    return float("nan") if value is None else float(value)


def _weights(folder: RunFolder, window: dict[str, Any]) -> np.ndarray:
    policy, _ = load_policy_object(RunFolder(folder.path / window["folder"]).model)
    tensors = [tensor.detach().double().flatten().numpy() for tensor in policy.state_dict().values()]
    return np.concatenate(tensors)


def _disagreement(before: FoldModel, now: FoldModel) -> float:
    """Share of the rows of `now` on which the two decide differently, from a flat account."""
    rows = now.rows
    at = np.arange(*rows)
    flat = np.zeros((len(at), len(ACCOUNT_FIELDS)), np.float32)
    actions = []
    for model in (before, now):
        if not isinstance(model.policy, TapePolicy):
            return float("nan")
        bound = model.policy.on_tape(model.tape, rows.start, rows.stop)
        decision, _ = bound.act({"row": at, "account": flat}, None, np.ones(len(at), bool))
        actions.append(np.asarray(decision.action))
    return float(np.mean(actions[0] != actions[1]))


def _write(folder: RunFolder, agent: WalkedForward, held: WalkedForward) -> None:
    table = agent.frame.assign(
        buy_and_hold_equity=held.frame["agent_equity"], buy_and_hold_exposure=held.frame["agent_exposure"]
    )
    with refused_by_machine(folder.equity, len(table) * 100, kept="what stood there before"):
        table.to_parquet(folder.equity, index=False)
    folder.write_json(folder.metrics.name, {"test": {"agent": agent.metrics, "buy_and_hold": held.metrics}})


def _print(
    console: Console,
    folder: RunFolder,
    agent: WalkedForward,
    held: WalkedForward,
    intervals: tuple[Interval, Interval],
    results: Sequence[WindowResult],
) -> None:
    for line in _lines(results):
        console.print(line, soft_wrap=True, markup=False)
    own, above = intervals
    console.print(
        f"log return {_words(own)}, above buy and hold {_words(above)}, "
        f"Sharpe {number(agent.metrics['sharpe_ratio'], 2)} (buy and hold {number(held.metrics['sharpe_ratio'], 2)}), "
        f"drawdown {percent(agent.metrics['max_drawdown'])}, {agent.metrics['trades']:.0f} trades",
        soft_wrap=True,
    )
    console.print(f"report  {folder.path / PAGE}", markup=False, soft_wrap=True)


def _lines(results: Sequence[WindowResult]) -> list[str]:
    """The windows as a table."""
    width = max(6, *(len(result.name) for result in results), *(len(result.model) for result in results))
    form = f"{{:<{width}}}  {{:<23}}  {{:<{width}}}  {{:>10}}  {{:>7}}  {{:>12}}  {{:>13}}  {{:>12}}"
    titles = ("window", "traded", "model", "validation", "test", "buy and hold", "weights moved", "decides anew")
    rows = [
        (
            result.name,
            f"{result.test_from[:10]} … {result.test_until[:10]}",
            result.model,
            *(number(value, 3, signed=True) for value in (result.validation, result.test, result.buy_and_hold)),
            percent(result.weights_moved, 0),
            percent(result.decisions_moved, 0),
        )
        for result in results
    ]
    return [form.format(*row) for row in (titles, *rows)]


def _words(interval: Interval) -> str:
    value, low, high = (number(v, 3, signed=True) for v in interval)
    return f"{value} ({low} to {high})"
