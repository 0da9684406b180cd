"""What every result is compared with, on the same bars, costs and execution: rules, random traders, hindsight.

Rules and random traders know all of their targets beforehand, so each of them walks in one compiled
loop (evaluate.replayed). None sees anything behind the row on which it decides, but for hindsight,
which sees everything: no policy earns more, and nobody can trade it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from regimegym.common.policy import Policy
from regimegym.envs.hindsight import hindsight_optimal
from regimegym.envs.settings import ActionSettings, EnvSettings
from regimegym.evaluate.random_trader import RandomTrader
from regimegym.evaluate.replayed import replay_actions, replay_targets
from regimegym.evaluate.rollout import check_rows, rollout
from regimegym.evaluate.rules import (
    BuyAndHold,
    Flat,
    MeanReversion,
    MovingAverageCross,
    RegimeTrader,
    Rule,
    SellAndHold,
    VolatilityTarget,
    cross_lengths,
    goes_short,
    realised_volatility,
)
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, cut_tape

FASTS, SLOWS = (5, 10, 20, 36, 50), (50, 100, 168, 250)  # lengths among which the cross is fitted, bars
CONTEXT_BARS = 300  # before a stretch, that the slowest rule looks back on
FITTED_ON = 100_000  # newest training rows; more tell nothing new about five lengths
USUAL_VOLATILITY = 0.15  # per year; target of the volatility rule where no training rows say what is usual
MOST_OUTCOMES = 20_000_000  # steps that hindsight may ask the kernel for; a longer part has no ceiling
CEILING_WORDS = {
    True: "exact: no path of the agent's actions earns more",
    False: "approximate: a very good path that can be traded; a better one may exist",
}
SIMPLE_RULES = ("ma_cross", "mean_reversion", "volatility_target", "regime_trader")


@dataclass(frozen=True)
class RuleSettings:
    """What the rules were fitted to on training rows.

    Attributes:
        cross: lengths (fast, slow) of the moving averages, bars.
        volatility: target of the volatility rule, standard deviation of log returns per bar.
        is_fitted: whether training rows chose them; else they are fixed beforehand.
    """

    cross: tuple[int, int]
    volatility: float
    is_fitted: bool = False


class Ceiling(NamedTuple):
    """The best that could have been done, knowing everything; see envs.hindsight."""

    trajectory: Trajectory
    is_exact: bool


class BaselineRuns(NamedTuple):
    """What the baselines did on the agent's bars.

    Attributes:
        trajectories: by key: buy_and_hold, sell_and_hold (where shorts are allowed), ma_cross,
            mean_reversion, volatility_target, regime_trader, the policies handed in, random (the
            median run), flat, hindsight (where the part is not too long).
        labels: names for people, by key. notes: what else should be said of some of them.
        random_band: (2, n + 1) 5 % and 95 % quantile of the random traders' equity, money.
        ceiling_is_exact: whether no path of the agent's actions earns more; None without a ceiling.
    """

    trajectories: dict[str, Trajectory]
    labels: dict[str, str]
    notes: dict[str, str]
    random_band: np.ndarray
    ceiling_is_exact: bool | None


def run_baselines(
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    random_seed: int,
    agent_trades: int,
    random_accounts: int = 21,
    rules: RuleSettings | None = None,
    others: Mapping[str, tuple[str, Policy]] | None = None,
) -> BaselineRuns:
    """All baselines over `rows`, under the agent's costs and execution.

    Args:
        random_seed: of the random traders.
        agent_trades: executed trades of the agent; each random trader makes as many.
        random_accounts: random traders; the run with the median final equity is reported.
        rules: what `fit_rules` found; None takes what is fixed for the timeframe.
        others: (label, policy) by key, to be compared with in the same way.
    """
    check_rows(tape, rows)
    rules = rules or fixed_rules(tape, rows.start)
    chosen = rules_of(settings, rules)
    randoms = random_runs(tape, settings, rows, random_seed, agent_trades, random_accounts)
    order = np.argsort([run.equity[-1] for run in randoms], kind="stable")
    band = np.quantile(np.stack([run.equity for run in randoms]), [0.05, 0.95], axis=0)
    trajectories = {key: rule_run(rule, tape, rows) for key, (_, rule) in chosen.items()}
    labels = {key: label for key, (label, _) in chosen.items()}
    for key, (label, policy) in (others or {}).items():
        trajectories[key], labels[key] = rollout(policy, tape, settings, rows)[0], label
    trajectories |= {
        "random": randoms[order[len(order) // 2]],
        "flat": rule_run(Flat(settings), tape, rows),
    }
    labels |= {"random": "Random", "flat": "Flat"}
    notes = notes_of(rules, random_accounts)
    ceiling = hindsight_run(tape, settings, rows)
    if ceiling is not None:
        trajectories["hindsight"] = ceiling.trajectory
        labels["hindsight"] = f"Hindsight, {'exact' if ceiling.is_exact else 'approximate'}"
        notes["hindsight"] = CEILING_WORDS[ceiling.is_exact]
    return BaselineRuns(trajectories, labels, notes, band, None if ceiling is None else ceiling.is_exact)


def notes_of(rules: RuleSettings, random_accounts: int) -> dict[str, str]:
    """What should be said of the baselines, by key."""
    how = "fitted on the training rows" if rules.is_fitted else "fixed beforehand, not fitted"
    return {
        "random": f"median of {random_accounts} with the agent's number of trades",
        "ma_cross": f"lengths {how}",
        "volatility_target": f"usual volatility {how}",
    }


def rules_of(settings: EnvSettings, rules: RuleSettings) -> dict[str, tuple[str, Rule]]:
    """(label, rule) by key, in the order of the tables."""
    fast, slow = rules.cross
    chosen: dict[str, tuple[str, Rule]] = {"buy_and_hold": ("Buy and hold", BuyAndHold(settings))}
    if goes_short(settings):
        chosen["sell_and_hold"] = ("Sell and hold", SellAndHold(settings))
    reversion = MeanReversion(settings)
    return chosen | {
        "ma_cross": (f"MA cross {fast}/{slow}", MovingAverageCross(settings, fast, slow)),
        "mean_reversion": (f"Mean reversion {reversion.length}", reversion),
        "volatility_target": ("Volatility target", VolatilityTarget(settings, rules.volatility)),
        "regime_trader": ("Regime rule", RegimeTrader(settings)),
    }


def fixed_rules(tape: MarketTape, row: int) -> RuleSettings:
    """What is fixed beforehand for the timeframe: 36/168 bars intraday, 20/100 daily, 15 % a year."""
    segment = tape.segment_of(row)
    return RuleSettings(cross_lengths(segment.timeframe_ns), USUAL_VOLATILITY / segment.periods_per_year**0.5)


def fit_rules(
    tape: MarketTape, settings: EnvSettings, train: RowRange, cross: tuple[int, int] | None = None
) -> RuleSettings:
    """The rules fitted on training rows: the cross that earned most there, and the usual volatility.

    Args:
        train: training rows; the newest 100,000 of them are used, over long gaps piece by piece.
        cross: lengths that the user has fixed; None tries all of FASTS × SLOWS.
    """
    pieces = _pieces(tape, RowRange(max(train.start, train.stop - FITTED_ON), train.stop))
    if not pieces:
        return fixed_rules(tape, train.start)
    pairs = [(f, s) for f, s in itertools.product(FASTS, SLOWS) if f < s] if cross is None else [cross]
    earned = [_earned(MovingAverageCross(settings, *pair), tape, pieces) for pair in pairs]
    moved = np.concatenate([realised_volatility(tape, *piece, VolatilityTarget.length) for piece in pieces])
    known = moved[~np.isnan(moved)]
    usual = float(np.median(known)) if len(known) else 0.0
    fixed = fixed_rules(tape, train.start).volatility
    return RuleSettings(pairs[int(np.argmax(earned))], usual if usual > 0 else fixed, is_fitted=True)


def _pieces(tape: MarketTape, rows: RowRange) -> list[RowRange]:
    """`rows` cut at the segments' borders, each piece of two rows or more."""
    cut = [RowRange(max(rows.start, s.first_row), min(rows.stop, s.stop)) for s in tape.segments]
    return [piece for piece in cut if piece.count >= 2]


def _earned(rule: Rule, tape: MarketTape, pieces: list[RowRange]) -> float:
    """Σℓ of a rule over pieces of the tape."""
    return float(sum(rule_run(rule, tape, piece).log_returns.sum() for piece in pieces))


def rule_run(rule: Rule, tape: MarketTape, rows: RowRange) -> Trajectory:
    """What a rule did over `rows`: the trajectory of its rollout."""
    return replay_actions(tape, rule.settings, rows, rule.actions(tape, rows.start, rows.stop - 1))


def random_runs(
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    random_seed: int,
    trades: int,
    accounts: int,
) -> list[Trajectory]:
    """Random traders that make `trades` trades each over `rows`."""
    trader = RandomTrader(settings, min(1.0, trades / max(1, rows.count - 1)), random_seed)
    return [replay_actions(tape, settings, rows, trader.actions(rows.count, i)) for i in range(accounts)]


def hindsight_run(tape: MarketTape, settings: EnvSettings, rows: RowRange) -> Ceiling | None:
    """The hindsight-optimal path over `rows`, as the account lives through it; None where the part is too long.

    Continuous weights cannot be listed: there the ceiling is that of −1, 0 and 1 (or 0 and 1), and approximate.
    """
    listed = _listed(settings)
    n_rungs = 3 if goes_short(settings) else 2
    n_rungs = len(listed.action.ladder) if listed.action.mode == "target" else n_rungs
    if rows.count * n_rungs**2 > MOST_OUTCOMES:
        return None
    path = hindsight_optimal(cut_tape(tape, rows.start, rows.stop), listed)
    targets = path.targets[:-1]
    run = replay_targets(tape, settings, rows, targets, targets)
    return Ceiling(run, path.is_exact and settings.action.mode != "continuous")


def _listed(settings: EnvSettings) -> EnvSettings:
    if settings.action.mode != "continuous":
        return settings
    most = settings.account.max_leverage
    ladder = (-most, 0.0, most) if settings.action.allow_short else (0.0, most)
    return replace(settings, action=ActionSettings(mode="target", ladder=ladder))


def regret(ceiling: float, agent: float) -> float:
    """Log return that hindsight had and the agent had not."""
    return ceiling - agent


def captured_share(ceiling: float, agent: float) -> float:
    """Agent's log return as a share of hindsight's; NaN where hindsight earns nothing."""
    return agent / ceiling if ceiling > 0 else float("nan")
