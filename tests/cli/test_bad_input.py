"""Every mistake a user can make at the command line: one clear message, exit code 2, nothing written."""

import numpy as np
import pandas as pd
import pytest
from tiny_runs import TINY_DQN, train

from regimegym.cli.main import main
from regimegym.features.synthetic.worlds import random_walk_bars

N_ROWS = 400


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here, capsys):
    """Runs the command line, asserts the exit code and that no run was begun, returns the message."""

    def run(*words: str) -> str:
        before = sorted(here.rglob("*"))
        assert main(list(words)) == 2
        assert sorted(here.rglob("*")) == before, "something was written"
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert said.err.startswith("error ")
        return said.err

    return run


def table(n: int = N_ROWS) -> pd.DataFrame:
    """Valid daily bars as a frame with the usual names."""
    bars = random_walk_bars(n, 3)
    return pd.DataFrame(
        {
            "date": pd.date_range("2015-01-01", periods=n, freq="D"),
            "open": bars.open,
            "high": bars.high,
            "low": bars.low,
            "close": bars.close,
            "volume": bars.volume,
        }
    )


def csv(here, frame: pd.DataFrame, name: str = "prices.csv") -> list[str]:
    """Command-line words that train on `frame`."""
    frame.to_csv(here / name, index=False)
    return ["train", "data=file", f"data.path={name}"]


def test_a_missing_file_is_named(refused):
    said = refused("train", "data=file", "data.path=nowhere.csv")
    assert "error data/missing-file" in said
    assert "nowhere.csv" in said


def test_an_empty_file_is_named(here, refused):
    (here / "empty.csv").write_text("")
    said = refused("train", "data=file", "data.path=empty.csv")
    assert "empty" in said


def test_a_file_without_a_price_column_says_which_names_were_looked_for(here, refused):
    said = refused(*csv(here, table().rename(columns={"close": "last deal"})))
    assert "error data/missing-column" in said
    assert "close" in said
    assert "last deal" in said


def test_unsorted_timestamps_are_shown_with_their_line(here, refused):
    frame = table()
    frame.loc[[200, 201], "date"] = frame.loc[[201, 200], "date"].to_numpy()
    said = refused(*csv(here, frame))
    assert "prices.csv" in said
    assert "line 203" in said  # row 201 behind the header


def test_duplicate_timestamps_are_shown_with_their_line(here, refused):
    frame = table()
    frame.loc[100, "date"] = frame.loc[99, "date"]
    said = refused(*csv(here, frame))
    assert "duplicate" in said
    assert "line 102" in said


def test_nan_inside_is_shown_with_line_and_column(here, refused):
    frame = table()
    frame.loc[50, "close"] = np.nan
    said = refused(*csv(here, frame))
    assert "line 52" in said
    assert "close" in said


def test_too_few_bars_says_how_many_are_needed(here, refused):
    said = refused(*csv(here, table()))
    assert "error data/too-few-bars" in said
    assert "needed    2,713 bars" in said
    assert "found     400 bars" in said


def test_the_named_number_of_bars_is_enough_and_one_less_is_not(here, capsys):
    words = ["env.episode.length=64", *(word for word in TINY_DQN if "n_bars" not in word and "length" not in word)]
    assert main(["train", *words, "data.n_bars=300", "run_dir=no"]) == 2
    needed = int(capsys.readouterr().err.split("needed")[1].split("bars")[0].replace(",", ""))
    assert main(["train", *words, f"data.n_bars={needed - 1}", "run_dir=no"]) == 2
    assert main(["train", *words, f"data.n_bars={needed}", "run_dir=yes"]) == 0


def test_an_unknown_key_names_the_nearest_one(refused):
    said = refused("train", "agent.learning_rat=3e-4")
    assert "'agent.learning_rat' is not a setting" in said
    assert "nearest   agent.learning_rate" in said


def test_an_unknown_group_names_the_nearest_one(refused):
    assert "nearest   agent" in refused("train", "agnt=ppo")


def test_an_unknown_option_names_the_nearest_one(refused):
    assert "nearest   ppo" in refused("train", "agent=ppoo")


def test_an_unknown_command_names_the_nearest_one(refused):
    assert "nearest   train" in refused("trian")


def test_a_folder_that_is_no_run_is_refused(refused):
    assert "is no run folder" in refused("evaluate", "run=nowhere")


def test_evaluate_without_a_run_says_what_to_type(refused):
    assert "run=RUN_FOLDER" in refused("evaluate")


def test_last_without_any_run_says_so(refused):
    assert "no finished run" in refused("evaluate", "run=last")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("costs.fee_rate=-0.001", "'fee_rate' must be ≥ 0, got -0.001"),
        ("env.episode.window=513", "a window longer than the episode"),
        ("random_seed=x", "'random_seed' must be a number, got 'x'"),
        ("trainer.total_steps=0", "'trainer.total_steps' must be a whole number ≥ 1, got 0"),
        ("trainer.device=tpu", "'trainer.device' must be one of cpu, cuda, auto, got 'tpu'"),
        ("split.test_share=0.9", "must be below 1"),
        ("env.account.execution=next_close", "'execution' must be one of next_open, same_close"),
    ],
)
def test_a_setting_out_of_range_shows_the_argument(word, sentence, refused):
    said = refused("train", word)
    assert sentence in said
    assert f"regime-gym train {word}" in said


def test_a_reward_that_could_be_pumped_is_refused(refused):
    said = refused("train", "reward.uptrend_reward_scale=0.5")
    assert "error config/reward-pump the smallest negative reward scale 0.5 lies below" in said


def test_a_run_is_never_written_over(here, capsys):
    (here / "mine").mkdir()
    (here / "mine" / "config.yaml").write_text("kept")
    assert train("run_dir=mine") == 2
    said = capsys.readouterr().err
    assert "already holds a run" in said
    assert (here / "mine" / "config.yaml").read_text() == "kept"
    assert [path.name for path in (here / "mine").iterdir()] == ["config.yaml"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run in a working folder of its own."""
    start = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        assert train("run_dir=run") == 0
    return start / "run"


def test_a_model_whose_features_differ_from_the_datas_lists_them(run_folder, monkeypatch, capsys):
    monkeypatch.chdir(run_folder.parent)
    config = run_folder / "config.yaml"
    text = config.read_text()
    monkeypatch.setattr("regimegym.training.run_folder.RUNS", run_folder.parent)
    config.write_text(text.replace("  - rsi\n", ""))
    try:
        assert main(["evaluate", "run=run"]) == 2
    finally:
        config.write_text(text)
    said = capsys.readouterr().err
    assert "error model/feature-mismatch" in said
    assert "missing: rsi" in said


def test_a_run_whose_data_changed_is_refused(run_folder, monkeypatch, capsys):
    monkeypatch.chdir(run_folder.parent)
    config = run_folder / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("market_seed: 7", "market_seed: 8"))
    try:
        assert main(["evaluate", "run=run"]) == 2
    finally:
        config.write_text(text)
    assert "has changed since the training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("regimegym.features.sources.synthetic", "os.system"),
        ("regimegym.features.sources.synthetic", "regimegym.training.run_folder.os.system"),
        ("regimegym.features.sources.synthetic", "regimegym.training.wiring.build"),  # would build what it is given
        ("regimegym.features.sources.synthetic", "regimegym.features.own.own_function"),  # would import it
        ("market_seed: 7", "own: [os.system]"),
        ("market_seed: 7", "market_seed: ${oc.env:HOME}"),
    ],
)
def test_a_strangers_run_cannot_choose_the_code_that_runs(old, new, run_folder, monkeypatch, capsys):
    monkeypatch.chdir(run_folder.parent)
    config = run_folder / "config.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    try:
        assert main(["evaluate", "run=run"]) == 2
    finally:
        config.write_text(text)
    said = capsys.readouterr().err
    assert "foreign-target" in said or "interpolation" in said
