"""Which agents can act where."""

from gymnasium import spaces

from regimegym.common.errors import ConfigError


def require_discrete(agent: str, space: spaces.Space) -> None:
    """Raise ConfigError unless `space` is discrete, as the value-based `agent` needs it."""
    if not isinstance(space, spaces.Discrete):
        raise ConfigError(
            "action-space",
            f"agent={agent} chooses among discrete actions, the environment wants {space}",
            help=("env.action.mode=trade", "or env.action.mode=target", "or agent=ppo, agent=sac"),
        )


def require_continuous(agent: str, space: spaces.Space) -> None:
    """Raise ConfigError unless `space` holds real numbers, as `agent` needs it."""
    if not isinstance(space, spaces.Box):
        raise ConfigError(
            "action-space",
            f"agent={agent} chooses a continuous weight, the environment wants {space}",
            help=("env.action.mode=continuous", "or agent=ppo"),
        )
