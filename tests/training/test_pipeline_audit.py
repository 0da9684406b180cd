"""The audit of the pipeline: clean as it is, and each planted look-ahead named where it was planted."""

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from regimegym.features import market, regimes, windows
from regimegym.features.audit import audit_providers, choose_cuts
from regimegym.features.context import EMPTY
from regimegym.features.feature import FEATURES, Feature
from regimegym.features.scaling import fit_scaler
from regimegym.features.sets import DEFAULT_SET
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.training import pipeline_audit
from regimegym.training.experiment import experiment_on
from regimegym.training.pipeline_audit import pipeline_provider, user_provider

N = 1_200
BARS = regime_switching_market(N, 4).bars


def config_with(*overrides: str):
    words = ["env.episode.length=32", "env.episode.window=16", "features.names=[rsi,return_5,probability_plateau]"]
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        return compose("train", overrides=[*words, *overrides])


def audit(*overrides: str, n_cuts: int = 12):
    config, rng = config_with(*overrides), np.random.default_rng(0)
    experiment = experiment_on(config, BARS, EMPTY)
    cuts = choose_cuts(N, experiment.market.table.warm_up, n_cuts, rng)
    assert sum(cut > experiment.split.train.stop for cut in cuts) >= 2
    return audit_providers([pipeline_provider(config, experiment, cuts)], BARS, EMPTY, cuts, rng)


def leaking(report) -> set[str]:
    return {leak.column for leak in report.leaks}


@pytest.mark.parametrize(
    "overrides",
    [(), ("regime.fit=quantile",), ("regime=settled",), ("regime=economic", "env.action.mode=continuous")],
    ids=str,
)
def test_the_pipeline_is_clean(overrides):
    report = audit(*overrides)
    assert report.is_clean, report.leaks
    expected = {"feature rsi", "regime label", "regime probabilities", "fitted regime thresholds"}
    expected |= {"fitted scaler of rsi", "observed rsi", "observed exposure", "observed drawdown", "reward"}
    assert expected <= set(report.columns)


def test_the_default_pipeline_is_clean():
    report = audit(f"features.names=[{','.join(DEFAULT_SET)}]", n_cuts=6)
    assert report.is_clean, report.leaks
    assert len(report.columns) == 3 * len(DEFAULT_SET) + 4 + 1 + 6 + 1


def test_the_large_set_with_its_other_timeframes_is_clean():
    with initialize_config_module("regimegym.conf", version_base="1.3"):
        config = compose("train", overrides=["env.episode.length=32", "env.episode.window=4", "features=xgboost"])
    bars = regime_switching_market(6_000, 4).bars
    experiment = experiment_on(config, bars, EMPTY)
    # Gaps of another future before the end of the warm-up change its length.
    cuts = [20, experiment.market.table.warm_up - 20, experiment.market.table.warm_up - 5, 5_500]
    report = audit_providers([pipeline_provider(config, experiment, cuts)], bars, EMPTY, cuts, np.random.default_rng(0))
    assert report.is_clean, report.leaks
    assert len(report.columns) > 3 * 178


def test_a_scaler_fitted_on_all_rows_is_found(monkeypatch):
    everything = RowRange(0, N)
    monkeypatch.setattr(pipeline_audit, "fit_scaler", lambda table, rows: fit_scaler(table, everything))
    assert leaking(audit()) == {f"fitted scaler of {name}" for name in ("rsi", "return_5", "probability_plateau")}


def test_thresholds_of_regimes_fitted_on_all_rows_are_found(monkeypatch):
    fit = pipeline_audit.fit_regimes
    monkeypatch.setattr(
        pipeline_audit, "fit_regimes", lambda found, settings, rows: fit(found, settings, RowRange(0, N))
    )
    assert leaking(audit("regime.fit=quantile")) == {"fitted regime thresholds"}


def test_hysteresis_that_smooths_with_the_future_is_found(monkeypatch):
    """A label that stays only when the next bars agree: settled labels run from the end to the beginning."""
    settle = regimes.settled_labels
    monkeypatch.setattr(
        regimes, "settled_labels", lambda z, calm, rule: settle(z[::-1].copy(), calm[::-1].copy(), rule)[::-1].copy()
    )
    assert "regime label" in leaking(audit("regime=settled"))


def test_an_observation_that_ends_one_bar_late_is_found(monkeypatch):
    on_time = windows.write_windows

    def one_late(features, segment_start, rows, out):
        on_time(features, segment_start, np.minimum(rows + 1, len(features) - 1), out)

    monkeypatch.setattr(windows, "write_windows", one_late)
    report = audit()
    assert leaking(report) == {"observed rsi", "observed return_5", "observed probability_plateau"}
    assert {leak.reach for leak in report.leaks} == {1}


def test_a_feature_that_sees_the_next_bar_shows_in_the_feature_and_in_the_observation(monkeypatch):
    def next_return(inputs):
        close = inputs.bars.close
        return np.append(np.diff(np.log(close)), 0.0)

    monkeypatch.setitem(FEATURES._parts, "rsi", Feature("rsi", next_return, warm_up=20))
    assert leaking(audit()) == {"feature rsi", "observed rsi"}


def test_regimes_smoothed_with_the_future_are_found(monkeypatch):
    """As T016: the labels of the whole array, not of each prefix."""
    classify = market.classify_regimes

    def smoothed(close, settings=None):
        ahead = np.append(close[3:], np.full(3, close[-1]))
        return classify(ahead, settings)

    monkeypatch.setattr(market, "classify_regimes", smoothed)
    assert {"regime trend score", "regime probabilities", "feature probability_plateau"} <= leaking(audit())


def test_a_function_of_the_user_is_audited_like_a_feature():
    def own(inputs):
        return {"fine": inputs.regimes.z, "late": np.roll(inputs.bars.volume, -2)}

    report = audit_providers([user_provider(own, "own")], BARS, EMPTY, [300, 700], np.random.default_rng(0))
    assert [(leak.column, leak.reach) for leak in report.leaks] == [("late", 2)]
