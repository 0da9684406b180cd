"""The account of DEFINITIONS §5 for several instruments in plain Python, slow and obvious on purpose.

The equity after costs is found by trying every combination of buying and selling; the compiled
kernel, which walks along a convex function instead, is compared with it.
"""

import math
from dataclasses import dataclass, field
from itertools import product

from slow_account import SECONDS_PER_YEAR, SlowFill


@dataclass
class SlowPortfolioStep:
    equity: float
    notional: float = 0.0
    credit: float = 0.0
    borrow: float = 0.0
    debit: float = 0.0
    spread_and_slippage: float = 0.0
    fees: float = 0.0
    fills: list[tuple[int, SlowFill]] = field(default_factory=list)  # (instrument, fill)


class SlowPortfolio:
    """Walks along `bars`, a list of M bars per row; targets are lists of M weights, None = keep."""

    def __init__(self, settings, bars, row, periods_per_year):
        self.s = settings
        self.bars = bars
        self.row = row
        self.periods_per_year = periods_per_year
        self.cash = settings.initial_cash
        self.units = [0.0] * len(bars[0])
        self.last_targets = [0.0] * len(bars[0])
        self.done = False

    def equity_at(self, prices):
        return self.cash + sum(u * p for u, p in zip(self.units, prices, strict=True))

    def decide(self, targets):
        bars, following = self.bars[self.row], self.bars[self.row + 1]
        self.out = SlowPortfolioStep(self.cash)
        self.row += 1
        closes = [bar.close for bar in following]
        if not self.done and self.s.execution == "same_close":
            mids, halves = [bar.close for bar in bars], [self.half_spread(bar, "close") for bar in bars]
            self.order(targets, mids, halves, self.row - 1)
            if self.out.fills and self.must_liquidate(mids):
                self.liquidate(mids, halves, self.row - 1)
        if not self.done:
            self.carry(bars, following)
            if self.s.execution == "next_open":
                halves = [self.half_spread(bar, "open") for bar in following]
                self.order(targets, [bar.open for bar in following], halves, self.row)
            if self.must_liquidate(closes):
                self.liquidate(closes, [self.half_spread(bar, "close") for bar in following], self.row)
        self.out.equity = self.equity_at(closes)
        return self.out

    def carry(self, before, now):
        dt = 1 / self.periods_per_year
        if self.s.carry_clock == "elapsed":
            dt = (now[0].timestamp - before[0].timestamp) / 1e9 / SECONDS_PER_YEAR
        shorts = sum(-u * bar.close for u, bar in zip(self.units, before, strict=True) if u < 0)
        self.out.borrow = self.s.borrow_rate * dt * shorts
        self.out.debit = self.s.debit_rate * dt * max(0.0, -self.cash)
        self.out.credit = self.s.credit_rate * dt * max(0.0, self.cash - shorts)
        self.cash += self.out.credit - self.out.borrow - self.out.debit

    def half_spread(self, bar, when):
        if self.s.spread_source == "bars":
            return bar.half_spread_open if when == "open" else bar.half_spread_close
        return self.s.half_spread

    def order(self, targets, mids, halves, row):
        weights = self.within_leverage(targets)
        equity = self.equity_at(mids)
        given = [j for j, w in enumerate(weights) if w is not None]
        if self.s.rebalance == "on_change":
            ordered = given if any(weights[j] != self.last_targets[j] for j in given) else []
        else:
            ordered = [j for j in given if not self.within_band(weights[j], self.units[j] * mids[j], equity)]
        wanted = self.wanted_units(ordered, weights, mids, halves, equity)
        for j in ordered:
            self.last_targets[j] = weights[j]
            units = wanted[j]
            if self.s.lot > 0:
                units = math.trunc(units / self.s.lot) * self.s.lot
            change = units - self.units[j]
            if change != 0:
                self.fill(j, change, mids[j], halves[j], row, "order")
                self.out.notional += abs(change) * mids[j]

    def within_leverage(self, targets):
        kept = sum(abs(self.last_targets[j]) for j, target in enumerate(targets) if target is None)
        room = max(0.0, self.s.max_leverage - kept)
        wanted = sum(abs(target) for target in targets if target is not None)
        if wanted <= room:
            return list(targets)
        # in this order, so that equal targets stay equal to the last bit: `on_change` compares them
        return [None if target is None else target / wanted * room for target in targets]

    def within_band(self, weight, value, equity):
        return equity > 0 and weight != 0 and abs(value / equity - weight) <= self.s.band

    def wanted_units(self, ordered, weights, mids, halves, equity):
        if self.s.sizing == "pre_cost":
            return {j: weights[j] * equity / mids[j] for j in ordered}
        trading = [j for j in ordered if weights[j] != 0 or self.units[j] != 0]
        values = {j: self.units[j] * mids[j] for j in trading}
        candidates = []
        for sides in product((1, -1), repeat=len(trading)):
            top, bottom = equity - self.s.fixed_fee * len(trading), 1.0
            for j, side in zip(trading, sides, strict=True):
                s = halves[j] + self.s.slippage
                k = s + self.s.fee_rate * (1 + side * s)
                top += side * k * values[j]
                bottom += side * k * weights[j]
            after = top / bottom
            worst = max(
                (-side * (weights[j] * after - values[j]) for j, side in zip(trading, sides, strict=True)), default=0.0
            )
            candidates.append((worst, after))
        _, after = min(candidates)
        return {j: weights[j] * after / mids[j] for j in ordered}

    def fill(self, j, change, mid, half_spread, row, reason):
        side = 1 if change > 0 else -1
        price = mid * (1 + side * (half_spread + self.s.slippage))
        fee = self.s.fee_rate * abs(change) * price + self.s.fixed_fee
        self.cash -= change * price + fee
        self.units[j] += change
        self.out.fees += fee
        self.out.spread_and_slippage += abs(change) * abs(price - mid)
        self.out.fills.append((j, SlowFill(row, change, mid, price, fee, reason)))

    def must_liquidate(self, prices):
        equity = self.equity_at(prices)
        gross = sum(abs(u) * p for u, p in zip(self.units, prices, strict=True))
        return equity <= 0 or (self.s.margin_check != "none" and equity < self.s.maintenance_margin * gross)

    def liquidate(self, mids, halves, row):
        for j, units in enumerate(self.units):
            if units != 0:
                self.fill(j, -units, mids[j], halves[j], row, "margin")
        if self.s.floor_zero and self.cash < 0:
            self.cash = 0.0
        self.done = True
