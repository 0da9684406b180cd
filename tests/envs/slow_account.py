"""The account of DEFINITIONS §5 and the reward of §6 in plain Python, written from the text alone.

Slow and obvious on purpose: one account, one bar, one rule after the other. The compiled kernel
is compared with it; nothing here imports from the package but the settings' field names.
"""

import math
from dataclasses import dataclass, field

SECONDS_PER_YEAR = 31_557_600


@dataclass
class Bar:
    """One row of the market: mids, half-spreads as fractions, start in UTC nanoseconds, regime code."""

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    half_spread_open: float = 0.0
    half_spread_close: float = 0.0
    regime: int = 3


@dataclass
class SlowFill:
    row: int
    units: float
    mid: float
    price: float
    fee: float
    reason: str


@dataclass
class SlowStep:
    """What one step produced; `fills` in the order in which they happened."""

    equity: float
    exposure_at_fill: float = 0.0
    traded: bool = False
    notional: float = 0.0
    credit: float = 0.0
    borrow: float = 0.0
    debit: float = 0.0
    spread_and_slippage: float = 0.0
    fees: float = 0.0
    fills: list[SlowFill] = field(default_factory=list)


class SlowAccount:
    """Walks along `bars`; `decide(target)` carries the account from the bar it stands on to the next."""

    def __init__(self, settings, bars, row, periods_per_year):
        self.s = settings
        self.bars = bars
        self.row = row
        self.periods_per_year = periods_per_year
        self.cash = settings.initial_cash
        self.units = 0.0
        self.last_target = 0.0
        self.done = False

    # --- the account -------------------------------------------------------------------------

    def equity_at(self, price):
        return self.cash + self.units * price

    def exposure_at(self, price):
        equity = self.equity_at(price)
        return self.units * price / equity if equity > 0 else 0.0

    # --- one step: from row to row + 1 -----------------------------------------------------------

    def decide(self, target):
        """`target` is a weight, or None for HOLD."""
        bar, following = self.bars[self.row], self.bars[self.row + 1]
        self.out = SlowStep(equity=self.cash)
        if not self.done:
            if self.s.execution == "same_close":
                self.order(target, bar.close, self.half_spread(bar, "close"), self.row)  # event 6
                self.out.exposure_at_fill = self.exposure_at(bar.close)
                if self.out.fills and self.must_liquidate(bar.close):  # event 7
                    self.liquidate(bar.close, self.half_spread(bar, "close"), self.row, "close")
            self.row += 1
            self.live_through(following, bar, target)
        else:
            self.row += 1
        self.out.equity = self.equity_at(following.close)  # event 8
        return self.out

    def live_through(self, bar, before, target):
        intrabar = self.s.margin_check == "intrabar"
        if self.done:
            return
        self.carry(bar, before)  # event 1
        if intrabar and self.must_liquidate(bar.open):  # event 2
            self.liquidate(bar.open, self.half_spread(bar, "open"), self.row, "gap")
            return
        if self.s.execution == "next_open":  # event 3
            self.order(target, bar.open, self.half_spread(bar, "open"), self.row)
            self.out.exposure_at_fill = self.exposure_at(bar.open)
        if intrabar and self.units != 0:  # event 4
            worst = bar.low if self.units > 0 else bar.high
            if self.must_liquidate(worst):
                self.liquidate(self.trigger(bar), self.half_spread(bar, "open"), self.row, "trigger")
                return
        if self.must_liquidate(bar.close):  # event 5
            self.liquidate(bar.close, self.half_spread(bar, "close"), self.row, "close")

    # --- the rules -------------------------------------------------------------------------------

    def carry(self, bar, before):
        if self.s.carry_clock == "elapsed":
            dt = (bar.timestamp - before.timestamp) / 1e9 / SECONDS_PER_YEAR
        else:
            dt = 1 / self.periods_per_year
        value = abs(self.units) * before.close
        if self.units < 0:
            self.out.borrow = self.s.borrow_rate * dt * value
        if self.cash < 0:
            self.out.debit = self.s.debit_rate * dt * (-self.cash)
        short_value = value if self.units < 0 else 0.0
        self.out.credit = self.s.credit_rate * dt * max(0.0, self.cash - short_value)
        self.cash += self.out.credit - self.out.borrow - self.out.debit

    def half_spread(self, bar, when):
        if self.s.spread_source == "bars":
            return bar.half_spread_open if when == "open" else bar.half_spread_close
        return self.s.half_spread

    def order(self, target, price, half_spread, row):
        if target is None:
            return
        weight = max(-self.s.max_leverage, min(self.s.max_leverage, target))
        equity = self.equity_at(price)
        if self.s.rebalance == "on_change":
            skipped = weight == self.last_target
        else:
            near = equity > 0 and weight != 0 and abs(self.units * price / equity - weight) <= self.s.band
            skipped = near
        if skipped:
            return
        self.last_target = weight
        for change in self.changes(weight, price, half_spread):
            if change != 0:
                self.fill(change, price, half_spread, row, "order")
                self.out.traded = True
                self.out.notional += abs(change) * price

    def changes(self, weight, price, half_spread):
        """Yields Δ units, one after the other; the account changes between them."""
        s = half_spread + self.s.slippage
        fee_rate = self.s.fee_rate
        if self.s.sizing == "post_cost":
            equity = self.equity_at(price)
            change = 0.0
            for side in (1, -1):
                k = s + fee_rate * (1 + side * s)
                wanted = weight * (equity - self.s.fixed_fee) / price - self.units
                wanted /= 1 + side * weight * k
                if wanted * side > 0:
                    change = wanted
                    break
            yield self.whole_lots(self.units + change) - self.units
        elif self.s.sizing == "pre_cost":
            yield self.whole_lots(weight * self.equity_at(price) / price) - self.units
        else:
            if weight * self.units < 0:
                yield -self.units
            equity = self.equity_at(price)
            side = (weight > 0) - (weight < 0)
            wanted = side * abs(weight) * equity / (price * (1 + s) * (1 + fee_rate))
            yield self.whole_lots(wanted) - self.units

    def whole_lots(self, units):
        return math.trunc(units / self.s.lot) * self.s.lot if self.s.lot > 0 else units

    def fill(self, change, mid, half_spread, row, reason):
        side = 1 if change > 0 else -1
        price = mid * (1 + side * (half_spread + self.s.slippage))
        fee = self.s.fee_rate * abs(change) * price + self.s.fixed_fee
        self.cash -= change * price + fee
        self.units += change
        self.out.fees += fee
        self.out.spread_and_slippage += abs(change) * abs(price - mid)
        self.out.fills.append(SlowFill(row, change, mid, price, fee, reason))

    def must_liquidate(self, price):
        equity = self.equity_at(price)
        if self.s.margin_check == "none":
            return equity <= 0
        return equity <= 0 or equity < self.s.maintenance_margin * abs(self.units) * price

    def trigger(self, bar):
        maint = self.s.maintenance_margin
        if self.units > 0:
            p = -self.cash / (self.units * (1 - maint))
            return max(bar.low, min(bar.open, p))
        p = self.cash / (abs(self.units) * (1 + maint))
        return min(bar.high, max(bar.open, p))

    def liquidate(self, mid, half_spread, row, reason):
        if self.units != 0:
            self.fill(-self.units, mid, half_spread, row, reason)
        if self.s.floor_zero and self.cash < 0:
            self.cash = 0.0
        self.done = True


def slow_reward(r, *, value_t, value_tp1, exposure, trades_in_window, notional, regime, uptrend_target):
    """R of DEFINITIONS §6 with settings `r`; `notional` is q, `value_t` V_t."""
    log_return = math.log(max(value_tp1, 1e-3 * value_t) / value_t)
    if r.kind == "log_return":
        return r.reward_scale * log_return
    gain_scale = {
        0: (r.uptrend_reward_scale, r.uptrend_reward_scale),
        1: (r.downtrend_positive_scale, r.downtrend_negative_scale),
        2: (r.plateau_positive_scale, r.plateau_negative_scale),
        3: (r.oscillating_positive_scale, r.oscillating_negative_scale),
    }[regime][0 if log_return >= 0 else 1]
    total = gain_scale * log_return
    if regime == 0:
        total -= r.missed_uptrend_penalty * max(0.0, uptrend_target - exposure)
    total -= r.overtrading_penalty * max(0, trades_in_window - r.max_trades) / r.max_trades_window
    if notional > 0:
        total -= r.small_trade_penalty * max(0.0, 1 - notional / (r.minimum_trade * value_t))
    return r.reward_scale * total
