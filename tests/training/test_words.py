"""Words of the command line as Hydra reads them."""

import pytest

from regimegym.training.compose import compose_config, expanded


@pytest.mark.parametrize("path", ["préises é.csv", "prices (1).csv", "/home/jürgen/Kurse – täglich.csv", "plain.csv"])
def test_a_path_is_taken_with_whatever_letters_it_has(path):
    assert compose_config("train", ["data=file", f"data.path={path}"]).data.path == path


@pytest.mark.parametrize(
    "word", ["agent.gamma=choice(0.9,0.95)", "a=[é,b]", 'a="é"', "a={b: é}", "a=é,b", "agent=ppo", "-m"]
)
def test_every_other_word_stays_as_it_is(word):
    assert expanded([word]) == [word]
