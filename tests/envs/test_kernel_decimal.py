"""The kernel against the slow account in 50-digit decimals: float64 keeps the account exact to 1e-9."""

from dataclasses import asdict, replace
from decimal import Decimal, localcontext
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_account import Bar, SlowAccount
from tapes import random_tape
from test_kernel_parity import account_settings, near, weights

from regimegym.envs.core import step_batch
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record

DIGITS = 50
PERIODS = 8760


def exact(value):
    """The very number that the float is, as a Decimal."""
    return Decimal(value) if isinstance(value, float | int) and not isinstance(value, bool) else value


def decimal_bars(tape):
    columns = (
        tape.timestamps, tape.open, tape.high, tape.low, tape.close, tape.half_spread_open, tape.half_spread_close,
    )  # fmt: skip
    return [Bar(*(exact(value.item()) for value in row)) for row in zip(*columns, strict=True)]


# Whole lots are left out: truncation is a jump, so an exact multiple may fall to either side of it.
# So are weights below float64's round-off of a position: what is left of it is a fill in fifty digits alone.
@settings(max_examples=80, derandomize=True)
@given(
    account=account_settings.map(lambda account: replace(account, lot=0.0)),
    targets=st.lists(weights.filter(lambda w: not w or abs(w) > 1e-6), min_size=1, max_size=40),
    seed=st.integers(0, 10_000),
)
def test_float64_stays_within_1e_9_of_fifty_digits(account, targets, seed):
    gaps = np.random.default_rng(seed).integers(1, 100, 42)
    tape = random_tape(42, seed, timestamps=np.cumsum(gaps) * 3_600_000_000_000)
    env_settings = EnvSettings(account)
    bars, rules, accounts = (
        bar_records(tape, env_settings.account.carry_clock),
        rule_record(env_settings),
        new_accounts(1, env_settings),
    )
    with localcontext(prec=DIGITS):
        precise = SimpleNamespace(**{name: exact(value) for name, value in asdict(account).items()})
        slow = SlowAccount(precise, decimal_bars(tape), 0, Decimal(PERIODS))
        for t, target in enumerate(targets):
            result = step_batch(bars, rules, np.array([t]), accounts, np.array([np.nan if target is None else target]))
            accounts = result.accounts
            expected = slow.decide(None if target is None else exact(target))
            scale = account.initial_cash
            assert isinstance(expected.equity, Decimal)
            near(accounts.cash[0], float(slow.cash), scale)
            near(accounts.units[0], float(slow.units), scale / tape.close[t])
            near(accounts.equity[0], float(expected.equity), scale)
            for name in ("credit", "borrow", "debit", "fees"):
                near(getattr(result, name)[0], float(getattr(expected, name)), scale)
            assert bool(accounts.done[0]) == slow.done
            assert result.n_fills[0] == len(expected.fills)
