"""Which instruments of an account trade, and how much (DEFINITIONS §5 for several instruments).

P are the mids and E = cash + Σ units·P just before the trade.

**Leverage.** Σ|w| ≤ max_leverage: larger targets are scaled down together, w ← w·L/Σ|w|. An
instrument without a target (NaN) is kept, and its last executed target takes its share of L.

**When to trade.** `on_change`: when any w differs from its last executed target, all instruments
that have a target are brought to it, so that the whole account stands at its weights; `always`:
each instrument on its own, left alone within `band`. An instrument within its dead-band is left
alone in both.

**Sizing.** `pre_cost`: units* = w·E/P. `post_cost`: the weights hold after all costs,

    Δ_i     = (w_i·E_after − units_i·P_i) / P_i
    cost_i  = k_i(side_i)·|Δ_i|·P_i + fixed_fee,     k(side) = s + fee_rate·(1 + side·s)
    E_after = E − Σ_i cost_i

over the instruments that trade (an empty one with target 0 does not; market impact changes the
fill price alone, the sizing does not foresee it). With v_i = units_i·P_i and F the fixed fees,
E_after is the root y of

    g(y) = y + Σ_i k_i·|w_i·y − v_i| − (E − F) = 0

g is convex and piecewise linear with kinks at v_i/w_i, and increasing since Σ|w_i|·k_i < 1.
Newton's method on such a function lands right of the root after one step, then walks left from
piece to piece and stops on the root's own piece, where the linear equation is solved as it is:
exact up to round-off after at most M + 2 steps. Every instrument is then sized by the rule for one
instrument, with the equity less what the *others* cost.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.envs import accounting, costs
from regimegym.envs.state import ON_CHANGE, POST_COST

# Rows of the scratch that one account at a time uses, (9, M) float64: mid price, half-spread, the
# bar's volume, target weight (NaN keeps), whether it is ordered, its cost in money, its Δ units, the
# target that the brakes let through, and the units before the step.
MID, HALF_SPREAD, VOLUME, WEIGHT, ORDERED, COST, CHANGE, TARGET, UNITS_T = range(9)
SCRATCH_ROWS = 9


@njit(cache=True, error_model="numpy")
def equity_at(cash: float, units: np.ndarray, prices: np.ndarray) -> float:
    """E = cash + Σ units·P."""
    equity = cash
    for j in range(len(units)):
        equity += units[j] * prices[j]
    return equity


@njit(cache=True, error_model="numpy")
def scale_to_leverage(targets: np.ndarray, last_targets: np.ndarray, rules: Any, weights: np.ndarray) -> None:
    """w = target·L/Σ|target| where Σ|target| > L; L is max_leverage less what kept legs (NaN) take."""
    kept, wanted = 0.0, 0.0
    for j in range(len(targets)):
        if np.isnan(targets[j]):
            kept += abs(last_targets[j])
        else:
            wanted += abs(targets[j])
    room = max(0.0, rules.max_leverage - kept)
    for j in range(len(targets)):
        weights[j] = targets[j] if wanted <= room else targets[j] / wanted * room


@njit(cache=True, error_model="numpy")
def choose_legs(units: np.ndarray, last_targets: np.ndarray, equity: float, rules: Any, scratch: np.ndarray) -> bool:
    """Mark in `scratch` the legs that are ordered to their weight; False when there is none."""
    any_ordered = False
    for j in range(len(units)):
        weight = scratch[WEIGHT, j]
        ordered = not np.isnan(weight) and not accounting.is_skipped(
            weight, last_targets[j], equity, units[j], scratch[MID, j], rules
        )
        scratch[ORDERED, j] = ordered
        any_ordered |= ordered
    if any_ordered and rules.rebalance == ON_CHANGE:
        for j in range(len(units)):
            weight = scratch[WEIGHT, j]
            left_alone = accounting.is_in_dead_band(weight, equity, units[j], scratch[MID, j], rules)
            scratch[ORDERED, j] = not np.isnan(weight) and not left_alone
    return any_ordered


@njit(cache=True, error_model="numpy")
def equity_after_costs(units: np.ndarray, equity: float, rules: Any, scratch: np.ndarray) -> float:
    """E_after: the root of g(y) = y + Σ k·|w·y − v| − (E − F) (see the module)."""
    budget = equity
    for j in range(len(units)):
        if pays_a_fill(units, scratch, j):
            budget -= rules.fixed_fee
    y = budget
    for _ in range(len(units) + 2):
        constant, slope = budget, 1.0
        for j in range(len(units)):
            if pays_a_fill(units, scratch, j):
                weight, value = scratch[WEIGHT, j], units[j] * scratch[MID, j]
                side = 1.0 if weight * y > value else -1.0
                k = costs.cost_per_value(side, scratch[HALF_SPREAD, j] + rules.slippage, rules)
                constant += side * k * value
                slope += side * k * weight
        previous, y = y, constant / slope
        if y == previous:
            break
    return y


@njit(cache=True, error_model="numpy")
def pays_a_fill(units: np.ndarray, scratch: np.ndarray, j: int) -> bool:
    """Whether leg j is ordered and has anything to trade: an empty leg with target 0 has not."""
    return scratch[ORDERED, j] != 0 and (scratch[WEIGHT, j] != 0 or units[j] != 0)


@njit(cache=True, error_model="numpy")
def plan_changes(units: np.ndarray, equity: float, rules: Any, scratch: np.ndarray) -> None:
    """Δ units of every leg into scratch[CHANGE]: the rule for one instrument, less the others' costs."""
    total = 0.0
    if rules.sizing == POST_COST:
        y = equity_after_costs(units, equity, rules, scratch)
        for j in range(len(units)):
            scratch[COST, j] = 0.0
            if pays_a_fill(units, scratch, j):
                traded = scratch[WEIGHT, j] * y - units[j] * scratch[MID, j]
                side = 1.0 if traded > 0 else -1.0
                k = costs.cost_per_value(side, scratch[HALF_SPREAD, j] + rules.slippage, rules)
                scratch[COST, j] = k * abs(traded) + rules.fixed_fee
            total += scratch[COST, j]
    for j in range(len(units)):
        scratch[CHANGE, j] = 0.0
        if scratch[ORDERED, j] != 0:
            others = total - scratch[COST, j] if rules.sizing == POST_COST else 0.0
            s = scratch[HALF_SPREAD, j] + rules.slippage
            scratch[CHANGE, j] = accounting.order_change(
                scratch[WEIGHT, j], equity - others, units[j], scratch[MID, j], s, rules
            )
