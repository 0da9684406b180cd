"""What a policy did in each of the four regimes, by the label known when it decided."""

import numpy as np

from regimegym.common.regimes import REGIMES
from regimegym.envs.core import ORDER
from regimegym.evaluate.metrics import sharpe_ratio, simple_returns
from regimegym.evaluate.trajectory import Trajectory


def per_regime(trajectory: Trajectory) -> dict[str, dict[str, float]]:
    """Breakdown by regime name, in the order of Regime; all four are present.

    Per regime: `n` decisions, their `share` of all, Σ ℓ as `log_return`, `mean_exposure` held
    after the decision, `sharpe_ratio` (annualised over those bars alone) and executed `trades`.
    The mean exposure and the Sharpe ratio of a regime that never came are NaN.
    """
    returns = simple_returns(trajectory.equity)
    ordered = trajectory.fills["step"][trajectory.fills["reason"] == ORDER]
    traded = np.zeros(len(trajectory), dtype=bool)
    traded[ordered] = True
    table = {}
    for regime in REGIMES:
        here = trajectory.regimes == regime
        n = int(here.sum())
        table[regime.name] = {
            "n": float(n),
            "share": n / len(trajectory),
            "log_return": float(trajectory.log_returns[here].sum()),
            "mean_exposure": float(trajectory.exposure[1:][here].mean()) if n else float("nan"),
            "sharpe_ratio": sharpe_ratio(returns[here], trajectory.periods_per_year),
            "trades": float(traded[here].sum()),
        }
    return table
