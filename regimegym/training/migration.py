"""Settings under names they once had, in the place and the form they have now.

A name that nobody knows is an error, and so is one that has no equal today: a guess would train
something else in silence.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from regimegym.common.errors import ConfigError, nearest_name
from regimegym.training.wiring import leaves


class Renamed(NamedTuple):
    """Where a setting went, and how its value changes on the way."""

    key: str
    convert: Callable[[Any], Any] = lambda value: value


RENAMED = {
    "UPTREND_REWARD_SCALE": Renamed("reward.uptrend_reward_scale"),
    "MISSED_UPTREND_PENALTY": Renamed("reward.missed_uptrend_penalty"),
    "DOWNTREND_POSITIVE_SCALE": Renamed("reward.downtrend_positive_scale"),
    "DOWNTREND_NEGATIVE_SCALE": Renamed("reward.downtrend_negative_scale"),
    "SMALL_TRADE_PENALTY": Renamed("reward.small_trade_penalty"),
    "MAX_TRADES_WINDOW": Renamed("reward.max_trades_window"),
    "OVERTRADING_PENALTY": Renamed("reward.overtrading_penalty"),
    "uptrend_reward_scale": Renamed("reward.uptrend_reward_scale"),
    "downtrend_reward_scale": Renamed("reward.downtrend_positive_scale"),
    "lr": Renamed("agent.learning_rate"),
    "learning_rate": Renamed("agent.learning_rate"),
    "gamma": Renamed("agent.gamma"),
    "tau": Renamed("agent.tau"),
    "buffer": Renamed("agent.buffer_size"),
    "buffer_size": Renamed("agent.buffer_size"),
    "batch": Renamed("agent.batch_size"),
    "batch_size": Renamed("agent.batch_size"),
    "update_frequency": Renamed("agent.updates_per_bar", lambda bars: 1.0 / bars),
    "alpha": Renamed("replay.alpha"),
    "beta_start": Renamed("replay.beta"),
    "seed": Renamed("random_seed"),
}
# In units of price: their numbers mean nothing to what replaced them.
GONE = {
    "UPTREND_THRESHOLD": "regime.z_threshold",
    "DOWNTREND_THRESHOLD": "regime.z_threshold",
    "TREND_THRESHOLD": "regime.z_threshold",
    "MIN_VOLATILITY": "regime.v_lo",
    "VOLATILITY_THRESHOLD": "regime.v_lo",
}


def migrate(old: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Values by the dotted key they have today.

    Args:
        old: settings under old or present names; groups may enclose them.
        known: dotted keys of today.

    Raises:
        ConfigError: `unknown-key`; `gone`, what measures a threshold has changed; `twice`, two old
            names for one setting.
    """
    found: dict[str, Any] = {}
    for path, value in leaves(dict(old)):
        key, new = _place(path, value, known)
        if key in found:
            raise ConfigError("twice", f"'{path}' sets '{key}', which another line sets already")
        found[key] = new
    return found


def _place(path: str, value: Any, known: Sequence[str]) -> tuple[str, Any]:
    """Key and value of today for one old setting."""
    last = path.rpartition(".")[2]
    if path in known:
        return path, value
    if last in RENAMED:
        return RENAMED[last].key, RENAMED[last].convert(value)
    if last in GONE:
        raise ConfigError(
            "gone",
            f"'{path}' was a threshold in units of price, which no longer exists",
            needed=f"{GONE[last]}, without a unit: choose its value anew and leave this line out",
        )
    raise ConfigError(
        "unknown-key",
        f"'{path}' is no setting, neither today nor under an old name",
        nearest=nearest_name(path, [*known, *RENAMED]),
        kept="nothing was converted",
    )
