"""The metrics against another library's, where both define the same; and over moving windows against themselves."""

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.evaluate import metrics, rolling_metrics

P = 252.0


@pytest.fixture(scope="module")
def returns():
    return np.random.default_rng(0).standard_t(4, 700) * 0.01 + 0.0003


@pytest.fixture(scope="module")
def equity(returns):
    return 10_000 * np.concatenate([[1.0], np.cumprod(1 + returns)])


def test_metrics_agree_with_empyrical(returns, equity):
    """Tail ratio, CVaR and drawdown have signs and quantiles of their own there; each is named."""
    empyrical = pytest.importorskip("empyrical")
    ours = metrics.simple_returns(equity)
    np.testing.assert_allclose(ours, returns, rtol=1e-9)
    same = {
        metrics.total_return(equity): empyrical.cum_returns_final(returns),
        metrics.cagr(equity, P): empyrical.cagr(returns, annualization=P),
        metrics.sharpe_ratio(ours, P): empyrical.sharpe_ratio(returns, annualization=P),
        metrics.sharpe_ratio(ours, P, 0.0001): empyrical.sharpe_ratio(returns, risk_free=0.0001, annualization=P),
        metrics.sortino_ratio(ours, P): empyrical.sortino_ratio(returns, annualization=P),
        metrics.sortino_ratio(ours, P, 0.0002): empyrical.sortino_ratio(returns, 0.0002, annualization=P),
        metrics.volatility(ours, P): empyrical.annual_volatility(returns, annualization=P),
        metrics.max_drawdown(equity): -empyrical.max_drawdown(returns),  # theirs is negative
        metrics.calmar(equity, P): empyrical.calmar_ratio(returns, annualization=P),
        metrics.tail_ratio(ours): empyrical.tail_ratio(returns),
        metrics.cvar_5(ours): empyrical.conditional_value_at_risk(returns, 0.05),
    }
    assert len(same) == 11
    for own, other in same.items():
        assert own == pytest.approx(other, rel=1e-9)


def test_empyrical_calls_a_constant_gain_infinite_and_we_undefined():
    empyrical = pytest.importorskip("empyrical")
    constant = np.full(60, 0.001)
    assert empyrical.sharpe_ratio(constant, annualization=P) > 1e10
    assert np.isnan(metrics.sharpe_ratio(constant, P))


def slow(of, values, window):
    """Window by window."""
    return np.array(
        [np.nan] * (window - 1) + [of(values[t + 1 - window : t + 1]) for t in range(window - 1, len(values))]
    )


def test_moving_metrics_are_the_metrics_of_each_window(returns, equity, monkeypatch):
    monkeypatch.setattr(rolling_metrics, "CHUNK", 5_000)  # several chunks
    window = 60
    pairs = [
        (rolling_metrics.rolling_sharpe_ratio(returns, window, P), lambda r: metrics.sharpe_ratio(r, P)),
        (rolling_metrics.rolling_sortino_ratio(returns, window, P), lambda r: metrics.sortino_ratio(r, P)),
        (rolling_metrics.rolling_volatility(returns, window, P), lambda r: metrics.volatility(r, P)),
        (rolling_metrics.rolling_log_return(np.log1p(returns), window), lambda r: np.log1p(r).sum()),
    ]
    for found, of in pairs:
        np.testing.assert_allclose(found, slow(of, returns, window), rtol=1e-9)
    found = rolling_metrics.rolling_max_drawdown(equity, window)
    assert len(found) == len(returns)
    expected = slow(metrics.max_drawdown, equity, window + 1)[1:]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_moving_metrics_are_undefined_where_the_window_is_not_full_or_nothing_moves():
    still = np.concatenate([np.zeros(30), [0.01, -0.02, 0.01]])
    found = rolling_metrics.rolling_sharpe_ratio(still, 10, P)
    assert np.isnan(found[:30]).all()
    assert np.isfinite(found[30:]).all()
    assert np.isnan(rolling_metrics.rolling_sharpe_ratio(still[:5], 10, P)).all()
    assert np.isnan(rolling_metrics.rolling_sortino_ratio(np.full(20, 0.01), 10, P)).all()
    with pytest.raises(ConfigError, match="'window' must be a whole number ≥ 2, got 1"):
        rolling_metrics.rolling_sharpe_ratio(still, 1, P)


def test_a_moving_drawdown_forgets_what_lies_before_its_window():
    equity = np.array([100.0, 50.0, 50.0, 50.0, 45.0])
    np.testing.assert_allclose(rolling_metrics.rolling_max_drawdown(equity, 2), [np.nan, 0.5, 0.0, 0.1])
