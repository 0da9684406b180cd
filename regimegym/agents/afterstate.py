"""Afterstates: where the account after an order is the exposure chosen and nothing else.

With proportional costs Q(h, x, a) = cost(x, a) + U(h, a): the market decides U, the account enters
through the price of the change alone. Only δ(h, a) = U(h, a) − U(h, flat) matters for a choice, and
one bar of an exogenous market tells it for every rung at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regimegym.common.errors import ConfigError
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.settings import EnvSettings
from regimegym.features.tape import MarketTape


@dataclass(frozen=True)
class Ladder:
    """The rungs and what it costs to change between them.

    Attributes:
        targets: A target weights, 0 among them.
        buying, selling: cost of a trade as a fraction of its value at the mid price.
    """

    targets: tuple[float, ...]
    buying: float
    selling: float

    @property
    def flat(self) -> int:
        """Index of the rung 0."""
        return self.targets.index(0.0)


def afterstate_ladder(settings: EnvSettings, tape: MarketTape) -> Ladder:
    """The ladder of an environment whose accounts are described by their exposure.

    Raises:
        ConfigError: `path-matters`, naming the first setting under which the path of the account
            matters and the value it would need.
    """
    for name, value, needed in _conditions(settings, tape):
        if value != needed:
            raise ConfigError(
                "path-matters",
                f"agent.learning=afterstate holds only where an account is its exposure, and '{name}' is {value}",
                needed=f"{name}={needed}",
                help=("or agent.learning=all_actions, which is right for any account and reward",),
            )
    weights = ActionTranslator(settings.action, settings.account.max_leverage).weights
    assert weights is not None
    if 0.0 not in weights:
        raise ConfigError(
            "no-flat-rung",
            "agent.learning=afterstate measures every rung against the flat one",
            needed="0.0 in env.action.ladder",
            found=", ".join(f"{weight:g}" for weight in weights),
        )
    account = settings.account
    s = account.half_spread + account.slippage
    return Ladder(
        tuple(weights.tolist()),
        buying=s + account.fee_rate * (1 + s),
        selling=s + account.fee_rate * (1 - s),
    )


def _conditions(settings: EnvSettings, tape: MarketTape) -> list[tuple[str, object, object]]:
    """(setting, value, value needed) of everything that must hold."""
    account, orders = settings.account, settings.orders
    zero = ("band", "fixed_fee", "lot", "impact", "borrow_rate", "debit_rate", "credit_rate")
    brakes = ("stop_loss", "take_profit", "dead_band", "minimum_hold", "turnover_budget")
    return [
        ("env.action.mode", settings.action.mode, "target"),
        ("env.account.rebalance", account.rebalance, "always"),
        ("env.account.sizing", account.sizing, "post_cost"),
        ("env.account.margin_check", account.margin_check, "none"),
        ("env.account.spread_source", account.spread_source, "constant"),
        ("reward", settings.reward.kind, "log_return"),
        *((f"env.account.{name}", getattr(account, name), 0) for name in zero),
        *((f"env.orders.{name}", getattr(orders, name), 0) for name in brakes),
        (
            "funding of the data",
            "paid" if tape.funding_rate is not None and tape.funding_rate.any() else "none",
            "none",
        ),
    ]


def log_cost(x: Tensor, targets: Tensor, buying: Tensor, selling: Tensor) -> Tensor:
    """Log growth (…, A) ≤ 0 of changing from the weights x (…) to each of the targets (A,).

    The target holds after costs: V′ = V − k·|a·V′ − x·V|, so V′/V = (1 + k·x)/(1 + k·a) for a
    purchase and (1 − k·x)/(1 − k·a) for a sale.
    """
    x = x.unsqueeze(-1)
    bought = torch.log1p(buying * x) - torch.log1p(buying * targets)
    sold = torch.log1p(-selling * x) - torch.log1p(-selling * targets)
    return torch.where(targets > x, bought, sold)


def log_growth(ratio: Tensor, targets: Tensor) -> Tensor:
    """ln(1 + a·ratio) (…, A) of holding each target from one fill to the next, `ratio` = P′/P − 1 (…)."""
    return torch.log1p(targets * ratio.unsqueeze(-1))


def drifted(ratio: Tensor, targets: Tensor) -> Tensor:
    """Weights (…, A) that the targets have become by the next fill: a·(1 + r)/(1 + a·r)."""
    r = ratio.unsqueeze(-1)
    return targets * (1 + r) / (1 + targets * r)


def fill_ratios(tape: MarketTape, execution: str) -> np.ndarray:
    """(T,) float64, P′/P − 1 from the fill of the decision on each row to the fill of the next one.

    NaN where the segment ends before.
    """
    ahead = 1 if execution == "next_open" else 0
    price = tape.open if ahead else tape.close
    out = np.full(len(tape), np.nan)
    for segment in tape.segments:
        fills = price[segment.start + ahead : segment.stop]
        out[segment.start : segment.start + len(fills) - 1] = fills[1:] / fills[:-1] - 1.0
    return out
