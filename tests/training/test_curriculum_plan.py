"""How a training plans its curriculum: episodes from its own steps, and no noise that nobody can predict from."""

from types import SimpleNamespace

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from regimegym.common.errors import ConfigError
from regimegym.training.compose import compose_config
from regimegym.training.curriculum import curriculum_of, curriculum_settings, planned_lengths


def lengths(*words):
    config = compose_config("train", ["curriculum=staged", *words])
    return planned_lengths(config, curriculum_settings(config))


def test_a_training_plans_the_whole_episodes_of_its_steps():
    assert lengths() == (10, 19, 29, 39)  # 50,000 // 512 = 97
    assert lengths("trainer.total_steps=5_120", "env.episode.length=128") == (4, 8, 12, 16)
    assert lengths("curriculum.n_episodes=10", "env.episode.length=null") == (1, 2, 3, 4)
    assert lengths("curriculum.stages.expert.share=14") == (5, 10, 14, 68)


def test_noise_is_refused_where_predictors_would_have_to_be_asked_about_it():
    config = compose_config("train", ["curriculum=staged"])
    with pytest.raises(ConfigError, match="not asked about noisy prices"):
        curriculum_of(config, SimpleNamespace(predictions=object()))


def test_a_run_of_an_earlier_version_has_no_curriculum():
    assert curriculum_of(OmegaConf.create({"random_seed": 1}), SimpleNamespace()) is None


def test_a_stage_that_is_not_there_is_no_setting():
    with pytest.raises(ConfigCompositionException):
        lengths("curriculum.stages.easy.share=2")
