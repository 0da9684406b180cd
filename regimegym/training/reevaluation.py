"""Look again at a trained run: on its own test or validation part, or on data it never saw."""

import shlex
from dataclasses import replace
from datetime import datetime

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from regimegym.agents.build import KINDS
from regimegym.agents.checkpoint import PREDICTORS, behind_gate, load_policy, with_saved_layers
from regimegym.common.checks import check_choice, check_flag
from regimegym.common.errors import RunError
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.features.market import align_features, build_tape
from regimegym.features.scaling import Scaler
from regimegym.features.segments import longest_stretch
from regimegym.features.splits import RowRange
from regimegym.supervised.predictor_set import PredictorSet
from regimegym.training.experiment import build_market, interval_of, split_market
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.outcome import report_context, summary_block, write_outcome
from regimegym.training.run_folder import RunFolder
from regimegym.training.same_data import check_same_data, warn_of_other_bars
from regimegym.training.summary import render_evaluation
from regimegym.training.wiring import build, read_run_config, trusted_names

PARTS = ("test", "validation")


def evaluate_run(config: DictConfig, overrides: list[str]) -> RunFolder:
    """Evaluate the model of `config.run`; the results go into a folder of their own below the run.

    Args:
        config: composed from conf/evaluate.yaml.
        overrides: the command line's own settings, for people.

    Raises:
        RegimeGymError: no run, a damaged one, other data or features; nothing is written then.
    """
    if config.run is None:
        raise RunError(
            "no-run-named",
            "evaluate needs a run",
            needed="run=RUN_FOLDER",
            help=["regime-gym evaluate run=last"],
        )
    check_choice("part", config.part, PARTS)
    check_flag("with_layers", config.with_layers)
    run = RunFolder.open(config.run)
    run_config = read_run_config(run.config, trusted_names(config.trust))
    policy, card = load_policy(run.model, with_layers=False)
    predictors = PredictorSet.load(run.model / PREDICTORS) if run_config.get("predictors") else None
    is_new = config.get("data") is not None
    if is_new:  # what the model sees is what it was trained on, whatever else this data could give
        names = card.feature_names if predictors is None else predictors.inputs
        market = build_market(_with_data(run_config, config), card.regime_rule(), names)
        warn_of_other_bars(run, market.bars)
    else:
        market = build_market(run_config, card.regime_rule())
    settings: EnvSettings = build(run_config.env)
    if not is_new:
        check_same_data(run, market, _other_data(run))
    plain_market, market = market, market if predictors is None else predictors.join(market)
    market = replace(market, table=align_features(card.feature_names, market.table))
    # Without its layers a model is still behind its gate: leaving them out lets nothing through.
    policy = with_saved_layers(policy, card, market.bars.symbol) if config.with_layers else behind_gate(policy, card)
    tape = build_tape(market, Scaler.from_dict(card.scaler))
    rows = (
        longest_stretch(RowRange(0, len(tape)), market.table.pieces, "evaluation")
        if is_new
        else getattr(split_market(run_config, plain_market, settings), config.part)
    )
    interval = interval_of(tape, rows)
    ledger, fingerprint = Ledger(LEDGER), market.bars.fingerprint
    looks = None if config.part == "validation" else ledger.count_looks(fingerprint, interval)
    label = KINDS.get(card.algorithm).algorithm.__name__
    part = "new" if is_new else config.part
    found = evaluate_policy(policy, tape, settings, rows, part, card.random_seed, label, build(run_config.evaluation))
    target = RunFolder.create(None, part, datetime.now().astimezone(), root=run.path / "evaluations")
    if looks is not None:
        ledger.record_look(fingerprint, interval, str(target.path))
    command = shlex.join(["regime-gym", "evaluate", *overrides])
    context = report_context(
        run,
        market.bars,
        card,
        settings=OmegaConf.to_container(run_config),
        looks=looks,
        trials=ledger.count_trials(fingerprint),
        validation=None,
        commands=[("Evaluate again", command)],
    )
    write_outcome(target, [found], context)
    render_evaluation(summary_block(found), str(target.path), Console(highlight=False), found.labels)
    return target


def _with_data(run_config: DictConfig, config: DictConfig) -> DictConfig:
    """The run's configuration on other data, named by the user on the command line."""
    other = run_config.copy()
    other.data = config.data
    # What stood beside the run's own data says nothing about other data.
    other.context = config.get("context")
    return other


def _other_data(run: RunFolder) -> tuple[str, ...]:
    return ("to evaluate on other data, name it:", f"regime-gym evaluate run={run.path} data=file data.path=FILE")
