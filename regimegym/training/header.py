"""What a training says of itself before it starts."""

import shlex

from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.features.durations import timeframe_words
from regimegym.training.curriculum import curriculum_settings, planned_lengths
from regimegym.training.display import RunHeader
from regimegym.training.experiment import Experiment
from regimegym.training.outcome import day
from regimegym.training.preparation import Training


def header(training: Training) -> RunHeader:
    """What the display says above the progress."""
    experiment, settings = training.experiment, training.settings
    account, split = experiment.settings.account, experiment.split
    stamps = experiment.tape.timestamps
    name, n_weights = type(training.algorithm).__name__, n_parameters(training.algorithm)
    one_way = account.fee_rate + account.half_spread + account.slippage
    return RunHeader(
        command=shlex.join(["regime-gym", "train", *training.overrides]),
        folder=str(training.folder.path),
        data=f"{experiment.tape.symbol} {timeframe_words(experiment.tape.timeframe_ns)} · "
        f"train {day(stamps[split.train.start])} … {day(stamps[split.train.stop - 1])} · "
        f"validation … {day(stamps[split.validation.stop - 1])}{_also(experiment)}",
        env=f"fills {account.execution} · costs {100 * one_way:.3g} % per trade · "
        f"{settings.n_accounts} accounts · reward {experiment.settings.reward.kind}{_curriculum_words(training)}",
        agent=f"{name} · {n_weights:,} parameters · seed {training.random_seed} · "
        f"{training.algorithm.device}, {settings.threads} thread{'s' if settings.threads > 1 else ''}",
        regimes=regime_words(experiment),
    )


def _also(experiment: Experiment) -> str:
    names = [f"{bars.symbol} {timeframe_words(bars.timeframe_ns)}" for bars in experiment.further]
    return f" · also learns from {', '.join(names)}" if names else ""


def _curriculum_words(training: Training) -> str:
    """How many stages there are, and of how many episodes; nothing without a curriculum."""
    if training.curriculum is None:
        return ""
    lengths = planned_lengths(training.config, curriculum_settings(training.config))
    return f" · curriculum of {len(lengths)} stages, {sum(lengths)} episodes"


def regime_words(experiment: Experiment) -> str:
    """Class shares of the training rows and the thresholds behind them."""
    shares, rule = experiment.regime_shares()["train"], experiment.regime_settings
    words = [f"{name.lower()} {100 * share:.0f} %" for name, share in shares.items()]
    plateau = f"v_lo {rule.v_lo:.3g}" if rule.plateau == "relative" else f"κ_p {rule.kappa_p:.3g}"
    return " · ".join([*words, f"z_T {rule.z_threshold:.3g}, {plateau}"])


def n_parameters(algorithm: BaseAlgorithm) -> int:
    """Number of trainable weights."""
    return sum(weights.numel() for weights in algorithm.policy.parameters() if weights.requires_grad)
