"""Are the inputs still distributed as in training? For the report of an evaluation."""

from typing import Any

from regimegym.common.seeding import generator
from regimegym.evaluate.monitoring.drift import DriftSettings, feature_drift
from regimegym.training.subject import Subject

LEAST_ROWS = 50  # of the judged part, below which nothing can be said
SHOWN = 6  # features named
RESAMPLES = 60  # a report is read soon; the monitor takes more


def input_drift(subject: Subject) -> dict[str, Any] | None:
    """Features whose distribution on the judged rows differs from that of training; None on other data.

    `n` features were looked at, `drifted` differ, `worst` are those with the largest PSI: {name, effect}.
    Predictions are left out: on training rows they were made by other folds.
    """
    if "train" not in subject.spans or subject.rows.count < LEAST_ROWS:
        return None
    predictors = subject.trader.predictors
    names = list(subject.card.feature_names if predictors is None else predictors.inputs)
    columns = [subject.market.table.names.index(name) for name in names]
    before, now = (
        subject.market.table.values[slice(*part)][:, columns] for part in (subject.spans["train"], subject.rows)
    )
    draws = generator(subject.card.random_seed, "input-drift")
    drifted = [
        one for one in feature_drift(before, now, names, draws, DriftSettings(n_resamples=RESAMPLES)) if one.drifted
    ]
    worst = sorted(drifted, key=lambda one: -one.effect if one.effect == one.effect else float("-inf"))[:SHOWN]
    return {
        "n": len(names),
        "drifted": len(drifted),
        "worst": [{"name": one.name, "effect": one.effect} for one in worst],
    }
