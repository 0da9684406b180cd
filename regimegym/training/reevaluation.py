"""Look again at a trained run: on its own test or validation part, or on data it never saw."""

import shlex
from dataclasses import replace
from datetime import datetime

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from regimegym.common.checks import check_choice, check_flag
from regimegym.common.errors import ConfigError, RunError
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.evaluate.monte_carlo import MonteCarloSettings
from regimegym.evaluate.report.targets import target_heading
from regimegym.evaluate.report_facts import ReportContext
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.suite import SuiteSettings
from regimegym.training.decision_layers import DECISION_FILE
from regimegym.training.experiment import interval_of
from regimegym.training.input_drift import input_drift
from regimegym.training.latency import decision_latencies
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.model_checks import model_checks
from regimegym.training.monte_carlo_outcome import render_monte_carlo, run_monte_carlo, write_monte_carlo
from regimegym.training.outcome import calibration_of, report_context, summary_block, validation_of, write_outcome
from regimegym.training.quick_audit import quick_audit
from regimegym.training.run_folder import RunFolder, read_json
from regimegym.training.sb3_baseline import saved_sb3
from regimegym.training.seeds import seed_runs
from regimegym.training.subject import Subject, open_subject
from regimegym.training.suite_outcome import render_suite, run_suites, write_suite
from regimegym.training.summary import render_evaluation
from regimegym.training.wiring import build

PARTS = ("test", "validation")


def evaluate_run(config: DictConfig, overrides: list[str]) -> RunFolder:
    """Evaluate the model of `config.run`; the results go into a folder of their own below the run.

    With `suite` the model also goes through its scenarios, and so do other runs that are named.

    Args:
        config: composed from conf/evaluate.yaml.
        overrides: the command line's own settings, for people.

    Raises:
        RegimeGymError: no run, a damaged one, other data or features; nothing is written then.
    """
    subjects, suite = _open_subjects(config)
    seeds = seed_runs(subjects)
    subject = subjects[0 if seeds is None else seeds.median]
    evaluation: EvaluationSettings = build(subject.config.evaluation)
    rules = subject.rules(evaluation)
    interval = interval_of(subject.tape, subject.rows)
    ledger, fingerprint = Ledger(LEDGER), subject.market.bars.fingerprint
    looks = None if subject.part == "validation" else ledger.count_looks(fingerprint, interval)
    found = evaluate_policy(
        subject.trader.policy(subject.market.bars.symbol), subject.tape, subject.settings, subject.rows, subject.part,
        subject.card.random_seed, subject.label, evaluation, rules, saved_sb3(subject.run),
    )  # fmt: skip
    suites = None if suite is None else run_suites(subjects, suite, rules)
    paths = MonteCarloSettings(n_paths=config.monte_carlo) if config.get("monte_carlo") else None
    drawn = None if paths is None else run_monte_carlo(subject, paths)
    target = RunFolder.create(
        None, subject.part, datetime.now().astimezone(), root=subjects[0].run.path / "evaluations"
    )
    if looks is not None:
        ledger.record_look(fingerprint, interval, str(target.path))
    context = _context(
        subject, overrides, looks, ledger.count_trials(fingerprint), suite is not None, config.with_layers
    )
    if seeds is not None:
        all_seeds = [one.card.random_seed for one in subjects]
        context = replace(context, random_seeds=all_seeds, seed_band=seeds.band, seed_log_returns=seeds.log_returns)
    if paths is not None and drawn is not None:
        context = replace(context, monte_carlo=write_monte_carlo(target, drawn, paths))
    if suites is not None:
        scenarios = write_suite(target, suites, context, evaluation.verdict.least_break_even)
        context = replace(context, scenarios=scenarios)
    report = write_outcome(target, [found], context)
    console = Console(highlight=False)
    render_evaluation(summary_block(found), str(target.path), console, found.labels)
    if report["targets"]:
        console.print(f"targets {target_heading(report['targets'])}")
    if context.scenarios is not None:
        render_suite(context.scenarios, str(target.path), console)
    if paths is not None and drawn is not None:
        render_monte_carlo(drawn, paths, target, console)
    return target


def _open_subjects(config: DictConfig) -> tuple[list[Subject], SuiteSettings | None]:
    """The runs that are named, the first is the one evaluated, and the suite, if any, that all go through."""
    names = _run_names(config)
    check_choice("part", config.part, PARTS)
    check_flag("with_layers", config.with_layers)
    suite: SuiteSettings | None = None if config.get("suite") is None else build(config.suite)
    if suite is None and len(names) > 1:
        raise ConfigError("several-runs", "several runs are compared in a suite", needed="suite=default")
    return [open_subject(name, config) for name in names], suite


def _context(
    subject: Subject, overrides: list[str], looks: int | None, trials: int, with_audit: bool, with_layers: bool
) -> ReportContext:
    """What the report says of the run around the results."""
    policy = subject.trader.policy(subject.market.bars.symbol)
    return report_context(
        subject.run,
        subject.market.bars,
        subject.card,
        settings=OmegaConf.to_container(subject.config),
        looks=looks,
        trials=trials,
        validation=validation_of(subject.run, subject.part),
        commands=[("Evaluate again", shlex.join(["regime-gym", "evaluate", *overrides]))],
        calibration=calibration_of(policy, subject.card, subject.tape, subject.rows, subject.settings.account),
        look_ahead=quick_audit(subject.config) if with_audit else None,
        latencies_ms=decision_latencies(policy, subject.card).tolist(),
        decision=read_json(subject.run.path / DECISION_FILE) or None if with_layers and subject.spans else None,
        drift=input_drift(subject),
        checks=model_checks(subject) if with_audit else None,
    )


def _run_names(config: DictConfig) -> list[str]:
    """The runs that are named, one or several."""
    given = OmegaConf.to_container(config.run) if OmegaConf.is_config(config.run) else config.run
    names = given if isinstance(given, list) else [] if given is None else [str(given)]
    if not names:
        raise RunError(
            "no-run-named",
            "evaluate needs a run",
            needed="run=RUN_FOLDER",
            help=["regime-gym evaluate run=last"],
        )
    return [str(name) for name in names]
