"""The target of risk, against the obvious loop."""

import numpy as np

from regimegym.supervised.labels import forward_volatility_labels


def test_forward_volatility_is_the_root_mean_square_of_the_returns_to_come():
    close = np.exp(np.random.default_rng(0).normal(size=30).cumsum() / 10)
    values, ends = forward_volatility_labels(close, 4)
    for t in range(26):
        returns = [np.log(close[k] / close[k - 1]) for k in range(t + 1, t + 5)]
        assert np.isclose(values[t], np.sqrt(np.mean(np.square(returns))))
        assert ends[t] == t + 4
    assert np.isnan(values[26:]).all()
    assert np.isnan(forward_volatility_labels(close[:4], 4).values).all()
