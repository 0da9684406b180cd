"""Tiny portfolio tapes and walks along them for tests."""

from dataclasses import replace

import numpy as np
from slow_portfolio import PortfolioBar
from tapes import make_tape, random_tape

from regimegym.envs.portfolio_core import step_portfolio_batch
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import new_portfolios, portfolio_bars
from regimegym.features.portfolio_tape import align_tapes
from regimegym.features.tape import Segment

KEEP = np.nan
NAMES = "ABCDE"


def named(j, n):
    """Segments of an instrument called after its number."""
    return (Segment(NAMES[j], 0, n, 0),)


def random_portfolio(m, n=42, seed=0, volatility=0.02, **changes):
    """M random instruments at different prices, with uneven volumes; every second one pays funding."""
    tapes = []
    for j in range(m):
        one = random_tape(n, 1_000 * seed + j, volatility)
        factor = 10.0 ** (j % 3 - 1)
        prices = (factor * price for price in (one.open, one.high, one.low, one.close))
        spreads = {"half_spread_open": one.half_spread_open, "half_spread_close": one.half_spread_close}
        tape = make_tape(*prices, segments=named(j, n), **spreads, **changes)
        rng = np.random.default_rng([seed, j])
        volume = rng.choice([0.0, 1.0, 1e3, 1e6], n)
        tapes.append(replace(tape, volume=volume, funding_rate=rng.normal(0, 1e-3, n) if j % 2 == 0 else None))
    return align_tapes(tapes)


def flat_portfolio(*prices, n=42):
    """Instruments that never move."""
    return align_tapes([make_tape(*[np.full(n, p)] * 4, segments=named(j, n)) for j, p in enumerate(prices)])


def slow_bars(tape):
    """Rows of M bars as the slow portfolio reads them."""
    columns = [
        zip(
            m.timestamps, m.open, m.high, m.low, m.close, m.half_spread_open, m.half_spread_close, m.regimes,
            m.volume, np.zeros(len(m)) if m.funding_rate is None else m.funding_rate, strict=True,
        )
        for m in tape.markets
    ]  # fmt: skip
    return [[PortfolioBar(*(value.item() for value in one)) for one in row] for row in zip(*columns, strict=True)]


def walk(tape, account, targets, first_row=0):
    """All results of one account that begins on `first_row`; targets (n, M)."""
    settings = PortfolioSettings(account=account)
    bars, rules = portfolio_bars(tape, settings.account.carry_clock), settings.rules(tape)
    accounts, results = new_portfolios(1, tape.n_assets, account.initial_cash), []
    for t, target in enumerate(targets):
        results.append(step_portfolio_batch(bars, rules, np.array([first_row + t]), accounts, np.array([target])))
        accounts = results[-1].accounts
    return results


def equity_of(results):
    return np.array([result.accounts.equity[0] for result in results])


def random_targets(m, seed, n=40, low=-1.0, high=1.0, keep=0.2):
    """(n, M) weights, some of them KEEP."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, m)) < keep, KEEP, rng.uniform(low, high, (n, m)))
