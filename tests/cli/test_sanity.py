"""Does the whole path learn what can be learned, and leave alone what cannot? (docs/learning.md)"""

import numpy as np
import pytest
from tiny_runs import read

from regimegym.cli.main import main
from regimegym.evaluate.random_trader import RandomTrader
from regimegym.evaluate.rollout import rollout
from regimegym.training.experiment import build_experiment, split_market
from regimegym.training.wiring import read_run_config


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """Test metrics and folder by experiment, each trained once."""
    start = tmp_path_factory.mktemp("sanity")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        for name in ("sine", "random_walk"):
            assert main(["train", f"experiment={name}", "trainer.total_steps=6000", f"run_dir={name}"]) == 0
            found[name] = start / name
    return found


def test_on_a_noiseless_sine_the_agent_ends_far_above_buy_and_hold(metrics):
    test = read(metrics["sine"] / "metrics.json")["test"]
    assert test["agent"]["log_return"] > test["buy_and_hold"]["log_return"] + 2.0
    assert test["agent"]["log_return"] > test["ma_cross"]["log_return"] + 1.0  # its lengths are fitted to the sine
    assert test["agent"]["log_return"] > 0.95 * test["hindsight"]["log_return"]


def test_on_a_driftless_random_walk_the_agent_loses_no_more_than_random_does(metrics):
    agent = read(metrics["random_walk"] / "metrics.json")["test"]["agent"]
    experiment = build_experiment(read_run_config(metrics["random_walk"] / "config.yaml"))
    trader = RandomTrader(experiment.settings, 1.0, random_seed=1)
    runs = rollout(trader, experiment.tape, experiment.settings, experiment.split.test, 21)
    random = np.median([np.log(run.equity[-1] / run.equity[0]) for run in runs])
    assert random < -0.5, "a trader that trades at every bar pays for it"
    assert agent["log_return"] >= random
    assert 0.0 <= agent["mean_exposure_change"] < 0.1


def test_the_split_of_a_run_is_the_split_of_its_config(metrics):
    config = read_run_config(metrics["sine"] / "config.yaml")
    experiment = build_experiment(config)
    assert split_market(config, experiment.market, experiment.settings) == experiment.split
