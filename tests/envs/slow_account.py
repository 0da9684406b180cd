"""The account of DEFINITIONS §5 and the reward of §6 in plain Python, written from the text alone.

Slow and obvious on purpose: one account, one bar, one rule after the other. The compiled kernel
is compared with it; nothing here imports from the package but the settings' field names. Numbers
are floats, or Decimals where settings and bars hold those.
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
    half_spread_open: float = 0
    half_spread_close: float = 0
    regime: int = 3
    volume: float = 0
    funding_rate: float = 0


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
    exposure_at_fill: float = 0
    traded: bool = False
    notional: float = 0
    credit: float = 0
    borrow: float = 0
    debit: float = 0
    funding: float = 0
    spread_and_slippage: float = 0
    fees: float = 0
    fills: list[SlowFill] = field(default_factory=list)


class SlowAccount:
    """Walks along `bars`; `decide(target)` carries the account from the bar it stands on to the next.

    `orders` holds exits and brakes; None is none of them.
    """

    def __init__(self, settings, bars, row, periods_per_year, orders=None):
        self.s = settings
        self.orders = orders
        self.bars = bars
        self.row = row
        self.periods_per_year = periods_per_year
        self.cash = settings.initial_cash
        self.units = 0
        self.last_target = 0
        self.entry_price = 0
        self.bars_held = 0
        self.turnover = 0
        self.decisions = 0
        self.value = settings.initial_cash
        self.peak = settings.initial_cash
        self.done = False

    # --- the account -------------------------------------------------------------------------

    def equity_at(self, price):
        return self.cash + self.units * price

    def exposure_at(self, price):
        equity = self.equity_at(price)
        return self.units * price / equity if equity > 0 else 0

    # --- one step: from row to row + 1 -----------------------------------------------------------

    def decide(self, target):
        """`target` is a weight, or None for HOLD."""
        bar, following = self.bars[self.row], self.bars[self.row + 1]
        self.out = SlowStep(equity=self.cash)
        units_before = self.units
        if not self.done:
            target = self.after_the_brakes(target)
            self.decisions += 1
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
        self.turnover += self.out.notional / self.value if self.out.traded else 0
        self.value = self.out.equity
        self.peak = max(self.peak, self.value)
        stays = self.units * units_before > 0
        self.bars_held = 0 if self.units == 0 else self.bars_held + 1 if stays else 1
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
        if self.units != 0:  # event 4, and the exits
            self.within(bar, intrabar)
            if self.done:
                return
        if self.must_liquidate(bar.close):  # event 5
            self.liquidate(bar.close, self.half_spread(bar, "close"), self.row, "close")

    def within(self, bar, intrabar):
        """What the bar's extremes reach first: a list of (price, what), the loss that is nearest first."""
        long = self.units > 0
        losses = []
        if self.orders and self.orders.stop_loss > 0:
            level = self.entry_price * (1 - self.orders.stop_loss if long else 1 + self.orders.stop_loss)
            if bar.low <= level if long else bar.high >= level:
                losses.append((min(level, bar.open) if long else max(level, bar.open), "stop_loss"))
        if intrabar and self.must_liquidate(bar.low if long else bar.high):
            losses.append((self.trigger(bar), "trigger"))
        if losses:
            mid, reason = (max if long else min)(losses, key=lambda loss: loss[0])  # the stop where both are one
            self.leave(mid, reason, bar)
        elif self.orders and self.orders.take_profit > 0:
            level = self.entry_price * (1 + self.orders.take_profit if long else 1 - self.orders.take_profit)
            if bar.high >= level if long else bar.low <= level:
                self.leave(max(level, bar.open) if long else min(level, bar.open), "take_profit", bar)

    def leave(self, mid, reason, bar):
        if reason == "trigger":
            self.liquidate(mid, self.half_spread(bar, "open"), self.row, reason)
        else:
            self.fill(-self.units, mid, self.half_spread(bar, "open"), self.row, reason)
            self.last_target = 0

    # --- the rules -------------------------------------------------------------------------------

    def after_the_brakes(self, target):
        """`target`, or None where the order comes too soon or the turnover budget is used up."""
        if self.orders is None:
            return target
        if self.orders.turnover_window and self.decisions % self.orders.turnover_window == 0:
            self.turnover = 0
        if target is None:
            return None
        too_soon = self.units != 0 and self.bars_held < self.orders.minimum_hold
        used_up = self.orders.turnover_budget > 0 and self.turnover >= self.orders.turnover_budget
        return None if too_soon or (used_up and target != 0) else target

    def carry(self, bar, before):
        if self.s.carry_clock == "elapsed":
            dt = (bar.timestamp - before.timestamp) / (10**9 * SECONDS_PER_YEAR)
        else:
            dt = 1 / self.periods_per_year
        value = abs(self.units) * before.close
        if self.units < 0:
            self.out.borrow = self.s.borrow_rate * dt * value
        if self.cash < 0:
            self.out.debit = self.s.debit_rate * dt * (-self.cash)
        short_value = value if self.units < 0 else 0
        self.out.credit = self.s.credit_rate * dt * max(0, self.cash - short_value)
        self.out.funding = bar.funding_rate * self.units * before.close
        self.cash += self.out.credit - self.out.borrow - self.out.debit - self.out.funding

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
        if self.orders and self.orders.dead_band > 0 and equity > 0 and weight != 0:
            skipped = skipped or abs(self.units * price / equity - weight) <= self.orders.dead_band
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
            change = 0
            for side in (1, -1):
                k = s + fee_rate * (1 + side * s)
                wanted = weight * (equity - self.s.fixed_fee) / price - self.units
                wanted /= 1 + side * weight * k
                if wanted * side > 0:
                    change = wanted
                    break
            yield self.change_to(self.units + change)
        elif self.s.sizing == "pre_cost":
            yield self.change_to(weight * self.equity_at(price) / price)
        else:
            if weight * self.units < 0:
                yield -self.units
            equity = self.equity_at(price)
            side = (weight > 0) - (weight < 0)
            wanted = side * abs(weight) * equity / (price * (1 + s) * (1 + fee_rate))
            yield self.change_to(wanted)

    def change_to(self, units):
        if self.s.lot == 0:
            return units - self.units
        lots = math.trunc(units / self.s.lot)
        if lots != 0 and lots == round(self.units / self.s.lot):
            return 0  # whatever the last digit of the position is
        return lots * self.s.lot - self.units

    def fill(self, change, mid, half_spread, row, reason):
        side = 1 if change > 0 else -1
        price = mid * (1 + side * (half_spread + self.s.slippage + self.impact(abs(change), row)))
        fee = self.s.fee_rate * abs(change) * price + self.s.fixed_fee
        after = self.units + change
        if after == 0:
            self.entry_price = 0
        elif self.units * after <= 0:
            self.entry_price = price
        elif abs(after) > abs(self.units):
            self.entry_price = (self.entry_price * self.units + price * change) / after
        self.cash -= change * price + fee
        self.units = after
        self.out.fees += fee
        self.out.spread_and_slippage += abs(change) * abs(price - mid)
        self.out.fills.append(SlowFill(row, change, mid, price, fee, reason))

    def impact(self, size, row):
        """The square-root law; an order is the whole volume of its bar at most, or where there is none."""
        if self.s.impact == 0:
            return 0
        volume = self.bars[row].volume
        return self.s.impact * math.sqrt(min(1, size / volume) if volume > 0 else 1)

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
            self.cash = 0
        self.done = True


class SlowSharpe:
    """Differential Sharpe ratio of Moody et al. 1998: (B·ΔA − ½·A·ΔB) / (B − A²)^1.5."""

    def __init__(self, adaptation):
        self.adaptation, self.mean, self.square = adaptation, 0.0, 0.0

    def step(self, log_return):
        change = math.exp(log_return) - 1
        mean_change, square_change = change - self.mean, change**2 - self.square
        variance = self.square - self.mean**2
        slope = self.square * mean_change - 0.5 * self.mean * square_change
        self.mean += self.adaptation * mean_change
        self.square += self.adaptation * square_change
        return slope / variance**1.5 if variance >= 1e-12 else 0.0


def slow_drawdown_penalised(r, *, value_t, value_tp1, peak_t):
    """κ·(ℓ − c·growth of the drawdown), the drawdown a fraction of the peak."""
    log_return = math.log(max(value_tp1, 1e-3 * value_t) / value_t)
    before = 1 - value_t / peak_t
    after = 1 - max(value_tp1, 0.0) / max(peak_t, value_tp1)
    return r.reward_scale * (log_return - r.drawdown_penalty * max(0.0, after - before))


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
    total -= r.size_penalty * (exposure - r.sized_target) ** 2
    total -= r.overtrading_penalty * max(0, trades_in_window - r.max_trades) / r.max_trades_window
    if notional > 0:
        total -= r.small_trade_penalty * max(0.0, 1 - notional / (r.minimum_trade * value_t))
    return r.reward_scale * total
