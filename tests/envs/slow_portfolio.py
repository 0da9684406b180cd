"""The account of DEFINITIONS §5 for several instruments in plain Python, slow and obvious on purpose.

The equity after costs is found by trying every combination of buying and selling; the compiled
kernel, which walks along a convex function instead, is compared with it.
"""

import math
from dataclasses import dataclass, field
from itertools import product

from slow_account import SECONDS_PER_YEAR, Bar, SlowFill


@dataclass
class PortfolioBar(Bar):
    """One row of one instrument, with what impact and funding ask of it."""

    volume: float = 0.0
    funding_rate: float = 0.0


@dataclass
class SlowPortfolioStep:
    equity: float
    notional: float = 0.0
    credit: float = 0.0
    borrow: float = 0.0
    debit: float = 0.0
    funding: float = 0.0
    spread_and_slippage: float = 0.0
    fees: float = 0.0
    fills: list[tuple[int, SlowFill]] = field(default_factory=list)  # (instrument, fill)


class SlowPortfolio:
    """Walks along `bars`, a list of M bars per row; targets are lists of M weights, None = keep."""

    def __init__(self, settings, bars, row, periods_per_year, orders):
        self.s = settings
        self.orders = orders
        self.bars = bars
        self.row = row
        self.periods_per_year = periods_per_year
        self.cash = settings.initial_cash
        self.units = [0.0] * len(bars[0])
        self.last_targets = [0.0] * len(bars[0])
        self.entry_prices = [0.0] * len(bars[0])
        self.ages = [0] * len(bars[0])
        self.turnover, self.decisions, self.value = 0.0, 0, settings.initial_cash
        self.done = False

    def equity_at(self, prices):
        return self.cash + sum(u * p for u, p in zip(self.units, prices, strict=True))

    def decide(self, targets):
        bars, following = self.bars[self.row], self.bars[self.row + 1]
        self.out = SlowPortfolioStep(self.cash)
        self.row += 1
        closes = [bar.close for bar in following]
        self.volumes = [bar.volume for bar in bars]
        units_before = list(self.units)
        if not self.done:
            targets = self.after_the_brakes(targets)
            self.decisions += 1
        if not self.done and self.s.execution == "same_close":
            mids, halves = [bar.close for bar in bars], [self.half_spread(bar, "close") for bar in bars]
            self.order(targets, mids, halves, self.row - 1)
            if self.out.fills and self.must_liquidate(mids):
                self.liquidate(mids, halves, self.row - 1)
        self.volumes = [bar.volume for bar in following]
        if not self.done:
            self.carry(bars, following)
            if self.s.execution == "next_open":
                halves = [self.half_spread(bar, "open") for bar in following]
                self.order(targets, [bar.open for bar in following], halves, self.row)
            for j, bar in enumerate(following):
                self.leave(j, bar)
            if self.must_liquidate(closes):
                self.liquidate(closes, [self.half_spread(bar, "close") for bar in following], self.row)
        self.out.equity = self.equity_at(closes)
        self.turnover += self.out.notional / self.value if self.out.notional else 0.0
        self.value = self.out.equity
        for j, (units, before) in enumerate(zip(self.units, units_before, strict=True)):
            self.ages[j] = 0 if units == 0 else self.ages[j] + 1 if units * before > 0 else 1
        return self.out

    def after_the_brakes(self, targets):
        """None for every target that comes too soon, or (other than 0) after the budget is used up."""
        if self.orders.turnover_window and self.decisions % self.orders.turnover_window == 0:
            self.turnover = 0.0
        used_up = self.orders.turnover_budget > 0 and self.turnover >= self.orders.turnover_budget
        too_soon = [
            units != 0 and age < self.orders.minimum_hold for units, age in zip(self.units, self.ages, strict=True)
        ]
        return [
            None if target is None or soon or (used_up and target != 0) else target
            for target, soon in zip(targets, too_soon, strict=True)
        ]

    def leave(self, j, bar):
        """Instrument j goes where the bar reaches its stop-loss, else its take-profit; at the open beyond it."""
        units, half = self.units[j], self.half_spread(bar, "open")
        if units == 0:
            return
        sign = 1 if units > 0 else -1
        nearest, farthest = (bar.low, bar.high) if sign > 0 else (bar.high, bar.low)
        stop = self.entry_prices[j] * (1 - sign * self.orders.stop_loss)
        profit = self.entry_prices[j] * (1 + sign * self.orders.take_profit)
        mid, reason = None, None
        if self.orders.take_profit > 0 and sign * farthest >= sign * profit:
            mid, reason = sign * max(sign * bar.open, sign * profit), "take_profit"
        if self.orders.stop_loss > 0 and sign * nearest <= sign * stop:
            mid, reason = sign * min(sign * bar.open, sign * stop), "stop_loss"
        if reason:
            self.fill(j, -units, mid, half, self.row, reason)
            self.last_targets[j] = 0.0

    def carry(self, before, now):
        dt = 1 / self.periods_per_year
        if self.s.carry_clock == "elapsed":
            dt = (now[0].timestamp - before[0].timestamp) / 1e9 / SECONDS_PER_YEAR
        shorts = sum(-u * bar.close for u, bar in zip(self.units, before, strict=True) if u < 0)
        self.out.borrow = self.s.borrow_rate * dt * shorts
        self.out.debit = self.s.debit_rate * dt * max(0.0, -self.cash)
        self.out.credit = self.s.credit_rate * dt * max(0.0, self.cash - shorts)
        self.out.funding = sum(
            bar.funding_rate * u * last.close for u, bar, last in zip(self.units, now, before, strict=True)
        )
        self.cash += self.out.credit - self.out.borrow - self.out.debit - self.out.funding

    def half_spread(self, bar, when):
        if self.s.spread_source == "bars":
            return bar.half_spread_open if when == "open" else bar.half_spread_close
        return self.s.half_spread

    def order(self, targets, mids, halves, row):
        weights = self.within_leverage(targets)
        equity = self.equity_at(mids)
        given = [j for j, w in enumerate(weights) if w is not None]
        given = [j for j in given if not self.within(self.orders.dead_band, weights[j], j, mids, equity)]
        if self.s.rebalance == "on_change":
            ordered = given if any(weights[j] != self.last_targets[j] for j in given) else []
        else:
            ordered = [j for j in given if not self.near(weights[j], self.units[j] * mids[j], equity, self.s.band)]
        wanted = self.wanted_units(ordered, weights, mids, halves, equity)
        for j in ordered:
            self.last_targets[j] = weights[j]
            units = wanted[j]
            change = units - self.units[j]
            if self.s.lot > 0:
                lots = math.trunc(units / self.s.lot)
                is_kept = lots != 0 and lots == round(self.units[j] / self.s.lot)
                change = 0 if is_kept else lots * self.s.lot - self.units[j]
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

    def within(self, dead_band, weight, j, mids, equity):
        return dead_band > 0 and self.near(weight, self.units[j] * mids[j], equity, dead_band)

    def near(self, weight, value, equity, band):
        return equity > 0 and weight != 0 and abs(value / equity - weight) <= band

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
        share = min(1.0, abs(change) / self.volumes[j]) if self.volumes[j] > 0 else 1.0
        price = mid * (1 + side * (half_spread + self.s.slippage + self.s.impact * math.sqrt(share)))
        fee = self.s.fee_rate * abs(change) * price + self.s.fixed_fee
        self.cash -= change * price + fee
        after = self.units[j] + change
        if self.units[j] * after <= 0:
            self.entry_prices[j] = price if after else 0.0
        elif abs(after) > abs(self.units[j]):
            self.entry_prices[j] = (self.entry_prices[j] * self.units[j] + price * change) / after
        self.units[j] = after
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
