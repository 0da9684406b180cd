"""A mistyped setting of any group is answered with the one that was meant, a wrong kind with what was expected."""

import pytest

from regimegym.cli.config_messages import config_error_from_hydra
from regimegym.training.compose import compose_config, flat_values
from regimegym.training.wiring import build


def one_number_of_each_group() -> list[str]:
    """The first number below each group of train.yaml that is built on its own."""
    found: dict[str, str] = {}
    for key, value in flat_values(compose_config("train", [])).items():
        group = key.partition(".")[0]
        if isinstance(value, int | float) and not isinstance(value, bool) and "." in key:
            found.setdefault(group, key)
    for later in ("target", "folds"):  # built with predictors alone
        found.pop(later, None)
    return sorted(found.values())


def composed_and_built(*words: str) -> None:
    config = compose_config("train", list(words))
    for word in words:
        part = word.partition(".")[0]
        build(config[{"costs": "env"}.get(part, part)])  # costs are settings of the environment


def answer(*words: str):
    """The message for `regime-gym train WORDS`."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- Hydra's, OmegaConf's or ours: all become a message
        composed_and_built(*words)
    return config_error_from_hydra(caught.value, ["train", *words])


def test_there_are_groups_to_check():
    assert {"data", "regime", "env", "reward", "network", "agent", "replay", "trainer"} <= {
        key.partition(".")[0] for key in one_number_of_each_group()
    }


@pytest.mark.parametrize("key", one_number_of_each_group())
def test_a_mistyped_setting_finds_the_one_that_was_meant(key):
    said = answer(f"{key[:-1]}=1")
    assert said.sentence == f"'{key[:-1]}' is not a setting"
    assert said.nearest.startswith(f"{key} (now ")


@pytest.mark.parametrize("key", one_number_of_each_group())
def test_a_word_for_a_number_is_told_what_was_expected(key):
    said = answer(f"{key}=abc")
    assert "number" in said.sentence
    assert "abc" in said.sentence
    assert key.rpartition(".")[2] in said.sentence
