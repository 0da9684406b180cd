"""The curriculum of a training: noisy tapes from its own market, episodes counted in its own steps."""

import numpy as np
from omegaconf import DictConfig

from regimegym.common.errors import ConfigError
from regimegym.curriculum.build import StageBuilder
from regimegym.curriculum.callback import CurriculumCallback
from regimegym.curriculum.schedules import schedule_of
from regimegym.curriculum.settings import CurriculumSettings
from regimegym.curriculum.stages import episodes_in, stage_lengths
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.price_noise import noisy_tapes
from regimegym.features.tape import MarketTape
from regimegym.training.experiment import Experiment
from regimegym.training.wiring import build


def curriculum_settings(config: DictConfig) -> CurriculumSettings:
    """Those of `config`; runs of earlier versions have none."""
    node = config.get("curriculum")
    return CurriculumSettings(stages={}) if node is None else build(node)


def planned_lengths(config: DictConfig, settings: CurriculumSettings) -> tuple[int, ...]:
    """Episodes of each stage of a training: whole episodes that fit into its steps, divided.

    Raises:
        ConfigError: fewer episodes than stages, or episodes of no fixed length.
    """
    n_episodes = settings.n_episodes
    if n_episodes is None:
        n_episodes = episodes_in(int(config.trainer.total_steps), config.env.episode.length)
    return stage_lengths([stage.share for stage in settings.stages.values()], n_episodes)


def curriculum_of(config: DictConfig, experiment: Experiment) -> CurriculumCallback | None:
    """The callback of the training that `config` describes; None without a curriculum.

    Raises:
        ConfigError: as `planned_lengths`, the environment chooses episodes by itself, or noise would
            have to be predicted from.
    """
    settings = curriculum_settings(config)
    if settings.is_empty:
        return None
    if experiment.predictions is not None and settings.has_noise:
        raise ConfigError(
            "noise-unpredicted",
            "noisy tapes compute their features anew, and predictors are not asked about noisy prices",
            needed="curriculum.noise_scale=0, or predictors=[]",
        )
    features: FeatureSettings = build(config.features)

    def noisy(level: float, rng: np.random.Generator) -> list[MarketTape]:
        return noisy_tapes(
            experiment.market,
            experiment.scaler,
            level,
            settings.n_tapes,
            rng,
            regimes=experiment.regime_settings,
            features=features,
            scale=settings.noise_scale,
        )

    stages = StageBuilder(
        settings, experiment.tape, experiment.split.train, experiment.settings, noisy, int(config.random_seed)
    )
    return CurriculumCallback(stages, schedule_of(planned_lengths(config, settings), settings.gate))
