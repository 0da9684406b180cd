"""Messages: what a mistyped command line is answered, word for word."""

import re
from dataclasses import dataclass
from io import StringIO

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console

from regimegym.cli.config_messages import known_settings, parse_arguments
from regimegym.cli.messages import config_error_from_hydra, error_text, render_error
from regimegym.common.checks import check_not_negative
from regimegym.common.errors import ConfigError, DataError

FILES = {
    "train.yaml": """
defaults:
  - _self_
  - agent: dqn
  - data: synthetic
random_seed: 0
run: ???
""",
    "agent/dqn.yaml": f"_target_: {__name__}.Agent\nlearning_rate: 1e-4\nbatch_size: 64\nfee: 0.1\n",
    "agent/ppo.yaml": f"_target_: {__name__}.Agent\nlearning_rate: 3e-4\nn_steps: 8\n",
    "agent/broken.yaml": f"_target_: {__name__}.broken\nlearning_rate: 3e-4\n",
    "data/synthetic.yaml": "n_bars: 100\n",
    "data/file.yaml": "path: ???\n",
    "experiment/quick.yaml": "# @package _global_\nagent:\n  batch_sise: 3\n",
}
SHOW = "all settings: regime-gym train --cfg job"


@dataclass(frozen=True)
class Agent:
    learning_rate: float = 1e-4
    batch_size: int = 64
    fee: float = 0.1
    n_steps: int = 8

    def __post_init__(self) -> None:
        check_not_negative("fee", self.fee)
        check_not_negative("learning_rate", self.learning_rate)


def broken(learning_rate):
    raise RuntimeError("a bug of ours")


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def said(conf):
    """The answer to `regime-gym train ARGUMENTS`: composed, instantiated, all values read."""

    def answer(*arguments, read=False, build=False):
        argv = ["train", *arguments]
        try:
            overrides = [a for a in arguments if a != "-m"]
            with initialize_config_dir(str(conf), version_base="1.3"):
                config = compose("train", overrides=overrides)
            if build:
                instantiate(config.agent)
            if read:
                OmegaConf.to_container(config, throw_on_missing=True)
        except Exception as error:
            return config_error_from_hydra(error, argv, conf, "train")
        raise AssertionError("there was nothing to say")

    return answer


def test_an_unknown_key_is_answered_with_the_nearest_and_its_value(said):
    assert said("random_seed=3", "agent.learning_rat=3e-4").lines() == [
        "error config/unknown-key 'agent.learning_rat' is not a setting",
        "  ┌ command line, argument 3",
        "  │ regime-gym train random_seed=3 agent.learning_rat=3e-4",
        "  │                                ^^^^^^^^^^^^^^^^^^",
        "  nearest   agent.learning_rate (now 0.0001)",
        "  help  regime-gym train random_seed=3 agent.learning_rate=3e-4",
        f"        {SHOW}",
        "  exit code 2",
    ]


def test_a_key_without_its_group_finds_it(said):
    assert said("batch_size=3").nearest == "agent.batch_size (now 64)"


def test_keys_of_the_chosen_option_are_the_known_ones(said):
    assert said("data=file", "data.pth=a.csv").nearest == "data.path (now ???)"
    assert said("agent=ppo", "agent.n_step=3").nearest == "agent.n_steps (now 8)"


def test_an_unknown_option_lists_all_and_points_at_the_value(said):
    assert said("agent=dqm", "random_seed=1").lines() == [
        "error config/unknown-option there is no agent 'dqm'",
        "  ┌ command line, argument 2",
        "  │ regime-gym train agent=dqm random_seed=1",
        "  │                        ^^^",
        "  needed    one of broken, dqn, ppo",
        "  nearest   dqn",
        "  help  regime-gym train agent=dqn random_seed=1",
        "  exit code 2",
    ]


def test_an_unknown_group_lists_the_settings_or_the_nearest_group(said):
    far, near = said("zzz=bar"), said("agen=ppo")
    assert (far.nearest, far.needed) == (None, "one of agent, data, experiment, random_seed, run")
    assert near.nearest == "agent (options: broken, dqn, ppo)"
    assert near.help[0] == "regime-gym train agent=ppo"


def test_a_setting_of_an_unknown_name_in_a_known_group_lists_the_group(said):
    assert said("data.zzz=1").needed == "one of data.n_bars"


def test_a_deletion_of_nothing_is_an_unknown_key(said):
    assert said("~agent.nix").sentence == "'agent.nix' is not a setting"


def test_bad_syntax_shows_how_to_write_it(said):
    assert said("random_seed").lines() == [
        "error config/bad-override 'random_seed' is not of the form KEY=VALUE",
        "  ┌ command line, argument 2",
        "  │ regime-gym train random_seed",
        "  │                  ^^^^^^^^^^^",
        "  help  regime-gym train random_seed=VALUE",
        "  exit code 2",
    ]
    assert said("random_seed=[1,2").help == ("regime-gym train 'random_seed=[1,2]'",)
    assert said("random_seed=1=2").help == ("""regime-gym train 'random_seed="1=2"'""",)
    assert said("=3").sentence == "'=3' has no key"


def test_several_values_without_m_are_answered_with_m(said):
    assert said("random_seed=1", "agent=dqn,ppo").help[1] == "regime-gym train -m random_seed=1 agent=dqn,ppo"


def test_a_needless_plus_is_taken_away(said):
    assert said("+agent.batch_size=3").help == ("regime-gym train agent.batch_size=3",)


def test_a_missing_value_says_how_to_give_it(said):
    assert said(read=True).lines() == [
        "error config/missing-value 'run' has no value and needs one",
        "  needed    run=VALUE",
        "  help  regime-gym train run=last",
        "  exit code 2",
    ]
    assert said("run=a", "data=file", read=True).help == ("regime-gym train run=a data=file data.path=prices.csv",)


def test_a_value_out_of_range_keeps_the_words_of_the_setting_and_shows_the_argument(said):
    assert said("agent.fee=-1", build=True).lines() == [
        "error config/out-of-range 'fee' must be ≥ 0, got -1",
        "  ┌ command line, argument 2",
        "  │ regime-gym train agent.fee=-1",
        "  │                            ^^",
        "  exit code 2",
    ]


def test_text_for_a_number_is_a_wrong_type(said):
    error = said("agent.batch_size=3", "agent.fee=cheap", build=True)
    assert (error.name, error.sentence) == ("wrong-type", "'fee' must be a number, got 'cheap'")
    assert error.place[-2:] == (
        "regime-gym train agent.batch_size=3 agent.fee=cheap",
        "                                              ^^^^^",
    )


def test_an_unknown_key_of_an_experiment_file_is_found_when_the_part_is_built(said):
    error = said("+experiment=quick", build=True)
    assert (error.sentence, error.nearest) == (
        "'agent.batch_sise' is not a setting",
        "agent.batch_size (now 64)",
    )


def test_a_bug_of_ours_is_not_dressed_up_as_a_mistake(said, conf):
    assert said("agent=broken", build=True) is None
    assert config_error_from_hydra(KeyError("a"), ["train"], conf, "train") is None


def test_a_long_command_line_is_shortened_around_the_argument(said):
    error = said("random_seed=3", "data.n_bars=100000", "rndom_seed=3", "agent.learning_rate=0.00012345")
    assert error.place[1:] == ("regime-gym train … rndom_seed=3 …", "                   ^^^^^^^^^^")
    assert error.help[0].endswith("random_seed=3 agent.learning_rate=0.00012345")


def test_flags_and_the_subcommand_are_no_overrides():
    assert [a.key for a in parse_arguments(["train", "-m", "--cfg=job", "+a.b=1", "c@d=2"])] == ["a.b", "c"]


def test_a_config_that_does_not_compose_still_gives_its_groups(tmp_path):
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "dqn.yaml").write_text("a: 1\n")
    (tmp_path / "train.yaml").write_text("defaults:\n  - nothing: here\n")
    assert known_settings(tmp_path, "train") == ({}, {"agent": ["dqn"]})


MISTAKE = DataError(
    "missing-column",
    "prices.csv has no column 'close'",
    place=["prices.csv, line 1", "time,open,Close Price", "          ^^^^^^^^^^^ nearest to 'close'"],
    needed="timestamp, close (optional: volume)",
    found="time, open, Close Price",
    nearest="close (a price)",
    help=["name the column:", "regime-gym train data.columns.close='Close Price'"],
    kept="nothing was written",
)


def rendered(error, **console):
    out = StringIO()
    render_error(error, Console(file=out, width=40, **console))
    return out.getvalue()


@pytest.mark.parametrize(
    "error", [MISTAKE, ConfigError("a", "b"), ConfigError("a", "b", kept="k", help=["needed  help nearest"])]
)
def test_the_plain_message_is_that_of_the_error_and_never_wrapped(error):
    assert rendered(error).splitlines() == error.lines()
    assert [line.plain for line in error_text(error)] == error.lines()


def test_colours_appear_on_a_terminal_and_not_with_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = rendered(MISTAKE, force_terminal=True)
    assert "\x1b[1;31merror\x1b[0m" in coloured
    assert "\x1b[1;31m^^^^^^^^^^^\x1b[0m nearest" in coloured
    assert "\x1b[1;36mhelp\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", rendered(MISTAKE, force_terminal=True))
