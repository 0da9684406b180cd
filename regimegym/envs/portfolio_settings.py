"""Settings of the portfolio environment, validated once at construction."""

from dataclasses import dataclass, field

import numpy as np

from regimegym.common.checks import check_flag, check_kind, check_positive
from regimegym.common.errors import ConfigError
from regimegym.envs.settings import AccountSettings, EnvSettings, EpisodeSettings, OrderSettings, RewardSettings
from regimegym.envs.state import rule_record
from regimegym.features.portfolio_tape import PortfolioTape

SIZINGS = ("post_cost", "pre_cost")
MARGIN_CHECKS = ("close", "none")
OF_ONE_INSTRUMENT = ("symbol_weights", "timeframe_weights", "regime_weights", "regimes", "starts")


@dataclass(frozen=True)
class PortfolioSettings:
    """An account that holds several instruments, its actions, reward and episodes.

    Attributes:
        account: as for one instrument (DEFINITIONS §5), with these readings: `max_leverage` bounds
            Σ|w|; `on_change` trades when any weight of the target changes; `band` applies to each
            instrument; `lot` and `fixed_fee` to each fill; the maintenance margin is a fraction
            of Σ|units|·P. Not defined for several instruments: `cash` sizing (whose buying power
            comes first?) and the `intrabar` check (their lows and highs have no common moment).
        allow_short: without it a negative weight means 0.
        reward_scale: κ of the reward κ·ℓ; several instruments have no single regime.
        episode: window, length and start of the episodes; not the weights, `regimes` and `starts`,
            which speak of one instrument.
        orders: exits and brakes, of each instrument; but the turnover budget is the account's.

    Raises:
        ConfigError: a setting is out of its range or not defined for several instruments.
    """

    account: AccountSettings = field(default_factory=AccountSettings)
    allow_short: bool = False
    reward_scale: float = 100.0
    episode: EpisodeSettings = field(default_factory=EpisodeSettings)
    orders: OrderSettings = field(default_factory=OrderSettings)

    def __post_init__(self) -> None:
        check_kind("account", self.account, AccountSettings)
        check_kind("episode", self.episode, EpisodeSettings)
        check_kind("orders", self.orders, OrderSettings)
        for name, choices in (("sizing", SIZINGS), ("margin_check", MARGIN_CHECKS)):
            value = getattr(self.account, name)
            if value not in choices:
                raise ConfigError(
                    "not-for-portfolios",
                    f"'{name}' of a portfolio must be one of {', '.join(choices)}, got '{value}'",
                )
        for name in OF_ONE_INSTRUMENT:
            value = getattr(self.episode, name)
            if value is not None:
                raise ConfigError(
                    "not-for-portfolios",
                    f"'{name}' speaks of one instrument; of a portfolio it must be null, got {value}",
                )
        check_flag("allow_short", self.allow_short)
        check_positive("reward_scale", self.reward_scale)

    def rules(self, tape: PortfolioTape) -> np.ndarray:
        """(1,) record RULES as the kernel reads it.

        Raises:
            ConfigError: max_leverage times the costs of one side reach 1 somewhere: no trade there
                could reach its target.
        """
        self._check_costs(tape)
        reward = RewardSettings(kind="log_return", reward_scale=self.reward_scale)
        return rule_record(EnvSettings(account=self.account, orders=self.orders, reward=reward))

    def _check_costs(self, tape: PortfolioTape) -> None:
        account = self.account
        for market in tape.markets:
            half_spread = account.half_spread
            if account.spread_source == "bars":
                half_spread = float(max(market.half_spread_open.max(), market.half_spread_close.max()))
            s = half_spread + account.slippage
            cost = account.max_leverage * (s + account.fee_rate * (1 + s))
            if cost >= 1:
                raise ConfigError(
                    "costs-too-high",
                    f"max_leverage · costs of '{market.symbol}' must be < 1, or no trade can reach its target,"
                    f" got {cost:.6g} with a half-spread of {half_spread:.6g}",
                )
