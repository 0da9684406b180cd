"""How many episodes each stage has, and in which stage an episode lies (DEFINITIONS §8)."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError


def stage_lengths(shares: Sequence[float], n_episodes: int) -> tuple[int, ...]:
    """Episodes of each stage: largest remainder, at least one each; their sum is `n_episodes`.

    Equal remainders favour the earlier stage. What a stage lacks to its one episode is taken from
    the largest, of equals from the latest.

    Args:
        shares: > 0, relative to their sum.
        n_episodes: N.

    Raises:
        ConfigError: `too-few-episodes`, fewer episodes than stages.
    """
    check_at_least("n_episodes", n_episodes, 0)
    if n_episodes < len(shares):
        raise ConfigError(
            "too-few-episodes",
            f"{n_episodes} episodes do not fill {len(shares)} stages",
            needed=f"{len(shares)} episodes or more",
            help=("raise trainer.total_steps, or shorten the episodes (env.episode.length)",),
        )
    parts = [Fraction(str(share)) for share in shares]  # 0.1 as it is written
    quotas = [n_episodes * part / sum(parts) for part in parts]
    lengths = [int(quota) for quota in quotas]
    order = sorted(range(len(parts)), key=lambda k: lengths[k] - quotas[k])  # sorting keeps the order of equals
    for k in order[: n_episodes - sum(lengths)]:
        lengths[k] += 1
    for k, length in enumerate(lengths):
        if length == 0:
            largest = max(range(len(parts)), key=lambda j: (lengths[j], j))
            lengths[largest] -= 1
            lengths[k] = 1
    return tuple(lengths)


def stage_boundaries(lengths: Sequence[int]) -> tuple[int, ...]:
    """b_k = length_0 + … + length_k: stage k holds the episodes b_{k−1} ≤ e < b_k."""
    return tuple(accumulate(lengths))


def stage_of(episode: int, boundaries: Sequence[int]) -> int:
    """The first k with episode < b_k; past the end the last stage.

    Raises:
        ConfigError: `negative-episode`.
    """
    if episode < 0:
        raise ConfigError("negative-episode", f"episodes are counted from 0, got {episode}", needed="≥ 0")
    return min(bisect_right(boundaries, episode), len(boundaries) - 1)


def episodes_in(total_steps: int, length: int | None) -> int:
    """N of a training: whole episodes of `length` decisions that fit into its steps.

    Raises:
        ConfigError: `open-length`, the length of an episode is not fixed.
    """
    if length is None:
        raise ConfigError(
            "open-length",
            "a curriculum counts episodes, and env.episode.length is null: nobody knows how many fit into a training",
            needed="env.episode.length, or curriculum.n_episodes",
        )
    return total_steps // length
