"""How replay treats the regimes, as scalars for TensorBoard."""

from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.common.regimes import REGIMES
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.samples import RegimeUse


def replay_tags(measure: str) -> list[str]:
    """Tags of one measure of RegimeUse, by regime."""
    return [f"replay/{measure}_{regime.name.lower()}" for regime in REGIMES]


def replay_scalars(algorithm: BaseAlgorithm) -> dict[str, float]:
    """What the replay buffer did since the last call, by tag; nothing where it is not one of ours."""
    buffer = getattr(algorithm, "replay_buffer", None)
    if not isinstance(buffer, RegimeReplayBuffer):
        return {}
    scalars = {"replay/beta": buffer.beta}
    for measure, values in buffer.regime_use()._asdict().items():
        scalars |= dict(zip(replay_tags(measure), values.tolist(), strict=True))
    return scalars


REPLAY_CHARTS = {f"{measure} by regime": ["Multiline", replay_tags(measure)] for measure in RegimeUse._fields}
