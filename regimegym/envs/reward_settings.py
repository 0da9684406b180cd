"""Settings of the reward, validated once at construction (DEFINITIONS §6)."""

from dataclasses import dataclass

from regimegym.common.checks import (
    check_at_least,
    check_choice,
    check_flag,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.envs.reward_rules import RewardRule

REWARD_KINDS = ("regime_aware", "log_return", "differential_sharpe", "drawdown_penalised", "custom")


@dataclass(frozen=True)
class RewardSettings:
    """The reward of a step; the unshaped log return is reported beside it, whatever the kind.

    Attributes:
        kind: `regime_aware`: R = κ·[g·ℓ − penalties] of DEFINITIONS §6; `log_return`: every scale 1,
            every penalty 0; `differential_sharpe`: κ · derivative of the running Sharpe ratio by
            the weight of the newest return; `drawdown_penalised`: κ·(ℓ − c·growth of the drawdown);
            `custom`: what `rule` says. Only `regime_aware` uses scales and penalties.
        reward_scale: κ.
        uptrend_reward_scale: s⁺ and s⁻ in an uptrend.
        downtrend_positive_scale, downtrend_negative_scale: s⁺ and s⁻ in a downtrend.
        plateau_positive_scale, plateau_negative_scale, oscillating_positive_scale,
            oscillating_negative_scale: s⁺ and s⁻ of the other two regimes.
        missed_uptrend_penalty: c_miss, per unit of exposure below `uptrend_target`.
        uptrend_target: x*_UP, the exposure wanted in an uptrend (clipped to max_leverage).
        size_penalty: c_size, on the squared distance of the exposure from `sized_target`.
        sized_target: x^K, the exposure that is thought right (for example a Kelly fraction).
        overtrading_penalty: c_over, on executed trades above `max_trades` (N_max) within the last
            `max_trades_window` (W) decisions.
        small_trade_penalty: c_small, on trades smaller than `minimum_trade` (q_min as a fraction
            of equity).
        unsafe_downtrend_reward: allows downtrend_negative_scale below downtrend_positive_scale,
            which can pay for round trips without profit.
        sharpe_adaptation: weight of the newest return, in (0, 1); 1/adaptation is the memory in bars.
        drawdown_penalty: c ≥ 0, per unit by which the drawdown (a fraction of the peak) grows.
        rule: for `custom`, an object with `reward(step: StepFacts) -> (N,)`; see
            envs.reward_rules. A config names its class by `_target_`.

    Raises:
        ConfigError: a range is broken, or the smallest negative scale lies below the largest
            positive one (a reward pump); `custom` without a rule, or a rule without `custom`.
    """

    kind: str = "regime_aware"
    reward_scale: float = 100.0
    uptrend_reward_scale: float = 1.5
    downtrend_positive_scale: float = 0.8
    downtrend_negative_scale: float = 1.5
    plateau_positive_scale: float = 1.0
    plateau_negative_scale: float = 1.5
    oscillating_positive_scale: float = 1.0
    oscillating_negative_scale: float = 1.5
    missed_uptrend_penalty: float = 2e-4
    uptrend_target: float = 1.0
    size_penalty: float = 0.0
    sized_target: float = 1.0
    overtrading_penalty: float = 1e-3
    max_trades_window: int = 20
    max_trades: int = 10
    small_trade_penalty: float = 1e-4
    minimum_trade: float = 0.01
    unsafe_downtrend_reward: bool = False
    sharpe_adaptation: float = 0.01
    drawdown_penalty: float = 1.0
    rule: RewardRule | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, REWARD_KINDS)
        check_positive("reward_scale", self.reward_scale)
        for name in (
            "missed_uptrend_penalty",
            "size_penalty",
            "overtrading_penalty",
            "small_trade_penalty",
            "uptrend_target",
            "drawdown_penalty",
        ):
            check_not_negative(name, getattr(self, name))
        check_positive("minimum_trade", self.minimum_trade)
        check_at_least("max_trades_window", self.max_trades_window, 1)
        check_at_least("max_trades", self.max_trades, 0)
        check_flag("unsafe_downtrend_reward", self.unsafe_downtrend_reward)
        self._check_no_pump()
        check_number("sized_target", self.sized_target, "a finite exposure", lambda _: True)
        check_number("sharpe_adaptation", self.sharpe_adaptation, "in (0, 1)", lambda v: 0 < v < 1)
        self._check_rule()

    @property
    def positive_scales(self) -> tuple[float, float, float, float]:
        """s⁺ in the order of Regime."""
        return (
            self.uptrend_reward_scale,
            self.downtrend_positive_scale,
            self.plateau_positive_scale,
            self.oscillating_positive_scale,
        )

    @property
    def negative_scales(self) -> tuple[float, float, float, float]:
        """s⁻ in the order of Regime."""
        return (
            self.uptrend_reward_scale,
            self.downtrend_negative_scale,
            self.plateau_negative_scale,
            self.oscillating_negative_scale,
        )

    def _check_rule(self) -> None:
        if self.kind == "custom" and not callable(getattr(self.rule, "reward", None)):
            raise ConfigError(
                "no-reward-rule",
                f"'kind' is custom, and 'rule' is {self.rule!r}",
                needed="an object with a method reward(step), such as rule._target_=my_module.MyReward",
            )
        if self.kind != "custom" and self.rule is not None:
            raise ConfigError(
                "idle-reward-rule", f"'rule' is {self.rule!r}, and 'kind' is {self.kind}", needed="kind: custom"
            )

    def _check_no_pump(self) -> None:
        for name in (
            "uptrend_reward_scale",
            "downtrend_positive_scale",
            "downtrend_negative_scale",
            "plateau_positive_scale",
            "plateau_negative_scale",
            "oscillating_positive_scale",
            "oscillating_negative_scale",
        ):
            check_positive(name, getattr(self, name))
        bound = list(self.negative_scales)
        if self.unsafe_downtrend_reward:
            bound.pop(1)
        largest = max(self.positive_scales)
        if min(bound) < largest:
            raise ConfigError(
                "reward-pump",
                f"the smallest negative reward scale {min(bound)} lies below the largest positive one {largest}",
                needed="every negative scale ≥ every positive scale > 0, or round trips without profit pay",
                found=f"positive {self.positive_scales}, negative {self.negative_scales}"
                " (uptrend, downtrend, plateau, oscillating)",
            )
