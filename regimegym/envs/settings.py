"""Settings of the environment, validated once at construction (DEFINITIONS §5 and §6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_choice,
    check_flag,
    check_kind,
    check_list,
    check_mapping,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import REGIMES
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.reward_settings import RewardSettings
from regimegym.features.durations import timeframe_of

EXECUTIONS = ("next_open", "same_close")
SPREAD_SOURCES = ("constant", "bars")
CARRY_CLOCKS = ("per_bar", "elapsed")
SIZINGS = ("post_cost", "pre_cost", "cash")
REBALANCES = ("on_change", "always")
MARGIN_CHECKS = ("close", "intrabar", "none")
ACTION_MODES = ("trade", "target", "continuous")
STARTS = ("random", "sequential")


@dataclass(frozen=True)
class AccountSettings:
    """How orders fill, what they cost and when an account is liquidated (DEFINITIONS §5).

    Attributes:
        initial_cash: money at the start of an episode, > 0.
        execution: `next_open` fills at the next bar's open, `same_close` (optimistic) at the close
            the decision was made on.
        fee_rate: fee as a fraction of the traded money.
        fixed_fee: fee per fill in money.
        half_spread: half the quoted spread as a fraction of the mid price.
        slippage: adverse price move of a fill as a fraction of the mid price.
        impact: further adverse move, as a fraction of the mid price, of an order as large as the
            whole volume of the bar it fills in; it grows with the square root of that share. It
            changes the fill price alone: sizing does not foresee it. An order is never counted as
            more than the whole volume, and as all of it where the bar has no volume.
        spread_source: `constant` uses `half_spread`, `bars` the data's own spreads instead.
        borrow_rate, debit_rate, credit_rate: per year, on the value of a short, on negative and
            on free positive cash.
        carry_clock: `per_bar` carries 1/periods_per_year a bar, `elapsed` the time between bars.
        sizing: `post_cost` holds the weight after costs, `pre_cost` before, `cash` is all-in
            buying power, and a fixed fee comes on top of it.
        lot: units are whole multiples of it; 0 is fractional.
        rebalance: `on_change` trades when the target changes, `always` re-targets at every order.
        band: with `always`, weights nearer than this to the target are left alone. At 0 a weight that
            is off by its last digit is traded, too: next to nothing, but an order, with its fixed fee;
            1e-9 leaves such weights alone.
        max_leverage: target weights are clipped to ±max_leverage.
        maintenance_margin: least equity as a fraction of the position's value, in [0, 1). A weight of
            exactly 1/maintenance_margin stands on the margin, and the last digit decides.
        margin_check: `close`, `intrabar` (gap and trigger prices too) or `none` (equity ≤ 0 only).
        floor_zero: a negative residual after a liquidation becomes 0.

    Raises:
        ConfigError: a setting is out of its range, with the value that came.
    """

    initial_cash: float = 10_000.0
    execution: str = "next_open"
    fee_rate: float = 0.001
    fixed_fee: float = 0.0
    half_spread: float = 0.0002
    slippage: float = 0.0003
    impact: float = 0.0
    spread_source: str = "constant"
    borrow_rate: float = 0.0
    debit_rate: float = 0.0
    credit_rate: float = 0.0
    carry_clock: str = "per_bar"
    sizing: str = "post_cost"
    lot: float = 0.0
    rebalance: str = "on_change"
    band: float = 0.0
    max_leverage: float = 1.0
    maintenance_margin: float = 0.25
    margin_check: str = "close"
    floor_zero: bool = False

    def __post_init__(self) -> None:
        check_positive("initial_cash", self.initial_cash)
        check_positive("max_leverage", self.max_leverage)
        for name in ("fee_rate", "half_spread", "slippage", "maintenance_margin"):
            value = getattr(self, name)
            check_not_negative(name, value)
            check_number(name, value, "< 1 (a fraction)", lambda v: v < 1)
        for name in ("impact", "fixed_fee", "borrow_rate", "debit_rate", "credit_rate", "lot", "band"):
            check_not_negative(name, getattr(self, name))
        check_choice("execution", self.execution, EXECUTIONS)
        check_choice("spread_source", self.spread_source, SPREAD_SOURCES)
        check_choice("carry_clock", self.carry_clock, CARRY_CLOCKS)
        check_choice("sizing", self.sizing, SIZINGS)
        check_choice("rebalance", self.rebalance, REBALANCES)
        check_choice("margin_check", self.margin_check, MARGIN_CHECKS)
        check_flag("floor_zero", self.floor_zero)
        check_number(
            "half_spread + slippage + impact",
            self.half_spread + self.slippage + self.impact,
            "< 1, or a sale could fill below zero",
            lambda v: v < 1,
        )
        cost_of_a_side = self.half_spread + self.slippage + self.fee_rate
        check_number(
            "max_leverage · (half_spread + slippage + fee_rate)",
            self.max_leverage * cost_of_a_side,
            "< 1, or no trade can reach its target",
            lambda v: v < 1,
        )


@dataclass(frozen=True)
class ActionSettings:
    """What an action means.

    Attributes:
        mode: `trade` (HOLD, SELL, BUY of common.actions), `target` (index into `ladder`) or
            `continuous` (one number in [−1, 1]; times max_leverage it is the target weight).
        allow_short: `trade`: SELL targets −1 instead of 0; `continuous`: without it a negative
            weight means 0. A ladder speaks for itself.
        ladder: target weights of mode `target`, strictly increasing.
    """

    mode: str = "trade"
    allow_short: bool = False
    ladder: Sequence[float] = (-1.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, ACTION_MODES)
        check_flag("allow_short", self.allow_short)
        check_list("ladder", self.ladder)
        steps = tuple(self.ladder)
        for i, weight in enumerate(steps):
            check_number(f"ladder[{i}]", weight, "a finite weight", lambda _: True)
        if len(steps) < 2 or any(a >= b for a, b in pairwise(steps)):
            raise ConfigError("bad-ladder", f"'ladder' needs two or more strictly increasing weights, got {steps}")
        object.__setattr__(self, "ladder", tuple(float(weight) for weight in steps))


@dataclass(frozen=True)
class EpisodeSettings:
    """Shape of an episode, where it may begin, and its market observation.

    An episode is always contiguous: it lies within one segment of the tape. `regimes` and `starts`
    narrow the rows on which one may begin; `start` and the weights say how they are chosen. Where
    several weights are given they multiply; combinations without an episode are left out.

    Attributes:
        window: bars of history in an observation.
        length: decisions of an episode, which spans length + 1 rows; null goes on to the end of
            the segment (of the allowed rows) and takes `window` decisions at least.
        start: `random` start rows, or `sequential`: episodes that tile the rows in order.
        symbol_weights: weight of each symbol that is drawn from, every start of a symbol equally
            likely; null: every start row equally likely. Weights are for `random` only.
        timeframe_weights: the same of timeframes (1h, 1d), where the tape holds several.
        regime_weights: the same of dominant regimes: the shares of the episodes that have them.
        regimes: names of common.regimes.Regime; only episodes whose dominant regime (the most
            frequent causal label of their decisions) is one of them. null: all.
        starts: list of (symbol, start) on which episodes begin, or of (symbol, timeframe, start)
            where a symbol has several; start is a row counted from 0 within the symbol and
            timeframe, or a time as ISO text (UTC). null: every possible row.
    """

    window: int = 30
    length: int | None = 512
    start: str = "random"
    symbol_weights: Mapping[str, float] | None = None
    timeframe_weights: Mapping[str, float] | None = None
    regime_weights: Mapping[str, float] | None = None
    regimes: Sequence[str] | None = None
    starts: Sequence[tuple[str, int | str] | tuple[str, str | None, int | str]] | None = None

    def __post_init__(self) -> None:
        check_at_least("window", self.window, 1)
        check_choice("start", self.start, STARTS)
        if self.length is not None:
            check_at_least("length", self.length, 2)
            if self.window > self.length:
                raise ConfigError(
                    "window-too-long",
                    f"a window longer than the episode: 'window' is {self.window} bars,"
                    f" 'length' {self.length} decisions",
                    needed="window ≤ length",
                )
        for name in ("symbol_weights", "timeframe_weights", "regime_weights"):
            self._check_weights(name)
        for words in self.timeframe_weights or ():
            timeframe_of(words)
        if self.regime_weights is not None:
            names = _checked_regimes("regime_weights", self.regime_weights)
            object.__setattr__(self, "regime_weights", dict(zip(names, self.regime_weights.values(), strict=True)))
        if self.regimes is not None:
            check_list("regimes", self.regimes)
            object.__setattr__(self, "regimes", _checked_regimes("regimes", self.regimes))
            _check_not_empty("regimes", self.regimes)
        if self.starts is not None:
            check_list("starts", self.starts)
            object.__setattr__(self, "starts", tuple(_checked_start(start) for start in self.starts))
            _check_not_empty("starts", self.starts)

    @property
    def least_length(self) -> int:
        """Decisions that the shortest episode takes."""
        return max(self.window, 2) if self.length is None else self.length

    def _check_weights(self, name: str) -> None:
        weights = getattr(self, name)
        if weights is None:
            return
        check_mapping(name, weights)
        _check_not_empty(name, weights)
        for key, weight in weights.items():
            check_positive(f"{name}.{key}", weight)
        if self.start != "random":
            raise ConfigError(
                "weights-without-chance",
                f"'{name}' are for random starts, and 'start' is {self.start}",
                needed=f"start: random, or {name}: null",
            )


def _check_not_empty(name: str, values: Collection) -> None:
    if not values:
        raise ConfigError("nothing-allowed", f"'{name}' is empty", needed="one or more, or null for all")


def _checked_regimes(name: str, regimes: Collection[str]) -> tuple[str, ...]:
    """Their names as Regime writes them, in lower case."""
    names = tuple(str(regime).lower() for regime in regimes)
    for regime in names:
        check_choice(name, regime, [one.name.lower() for one in REGIMES])
    return names


def _checked_start(start: Sequence) -> tuple[str, str | None, int | str]:
    """(symbol, timeframe or None, row or time)."""
    is_list = isinstance(start, Sequence) and not isinstance(start, str) and len(start) in (2, 3)
    if not is_list or isinstance(start[-1], bool) or not isinstance(start[-1], int | str):
        raise ConfigError(
            "bad-start",
            f"each of 'starts' is a symbol, a timeframe where it has several, and a row or time, got {start!r}",
            needed="[BTC, 1200] or [BTC, 1h, 1200]",
        )
    timeframe = None if len(start) == 2 or start[1] is None else str(start[1])
    if timeframe is not None:
        timeframe_of(timeframe)
    return str(start[0]), timeframe, start[-1]


@dataclass(frozen=True)
class EnvSettings:
    """Everything an environment needs besides its tape."""

    account: AccountSettings = field(default_factory=AccountSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    orders: OrderSettings = field(default_factory=OrderSettings)
    action: ActionSettings = field(default_factory=ActionSettings)
    episode: EpisodeSettings = field(default_factory=EpisodeSettings)

    def __post_init__(self) -> None:
        for part in fields(self):
            check_kind(part.name, getattr(self, part.name), part.default_factory)  # type: ignore[arg-type]
        leverage = self.account.max_leverage
        highest = max(abs(weight) for weight in self.action.ladder)
        if self.action.mode == "target":
            check_between("the largest |weight| of 'ladder'", highest, 0.0, leverage)
