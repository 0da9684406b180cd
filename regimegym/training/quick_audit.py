"""A short look-ahead audit of a run's own pipeline, for its report; `regime-gym data audit` is the long one."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from regimegym.common.errors import RegimeGymError
from regimegym.common.seeding import generator
from regimegym.features.audit import audit_providers, choose_cuts
from regimegym.features.bars import last_bars
from regimegym.training.experiment import experiment_on, load_data
from regimegym.training.pipeline_audit import pipeline_provider

CUTS = 8
BARS = 6_000
SHOWN = 10


def quick_audit(config: DictConfig) -> dict[str, Any] | None:
    """Columns that changed when only the future did, on the last bars of the run's own data.

    Returns:
        `found`, `columns`, `cuts`, `bars` and the names of the first `changed`; None for a run with predictors
        (they would have to be fitted again at every cut) and where the last bars are too few to split.
    """
    if config.get("predictors"):
        return None
    alone = OmegaConf.merge(config, {"also_learn_from": []})
    assert isinstance(alone, DictConfig)
    bars, context = load_data(alone)
    bars = last_bars(bars, BARS)
    try:
        experiment = experiment_on(alone, bars, context)
    except RegimeGymError:
        return None
    rng = generator(0, "audit")
    cuts = choose_cuts(len(bars), experiment.market.table.warm_up, CUTS, rng)
    report = audit_providers([pipeline_provider(alone, experiment, cuts)], bars, context, cuts, rng)
    return {
        "found": not report.is_clean,
        "columns": len(report.columns),
        "cuts": len(report.cuts),
        "bars": report.n_bars,
        "changed": [leak.column for leak in report.leaks[:SHOWN]],
    }
