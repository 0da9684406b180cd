"""A run that learned nothing: fresh weights, everything else as after a training. Costs no learning."""

from hydra import compose, initialize_config_module

from regimegym.agents.checkpoint import save_model
from regimegym.training.preparation import Training, prepare

WORDS = ["data.n_bars=1600", "env.episode.length=64", "network=mlp", "features=minimal"]


def make_run(*words: str) -> Training:
    """The run in its folder, made in the working folder with `words` on top of a tiny configuration."""
    given = [*WORDS, *words]
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        config = compose("train", overrides=given)
    training = prepare(config, given, None)
    save_model(training.folder.model, training.algorithm, training.card)
    return training
