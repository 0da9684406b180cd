"""The end of a training: the selected model is scored, and the run folder explains itself."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from regimegym.agents.card import ModelCard
from regimegym.evaluate.baselines import fit_rules
from regimegym.evaluate.evaluation import Evaluation, evaluate_policy
from regimegym.evaluate.report_facts import ReportContext
from regimegym.evaluate.weaknesses import action_shares
from regimegym.training.board import Board
from regimegym.training.callback import TrainingCallback
from regimegym.training.compared import compared_settings
from regimegym.training.decision_layers import describe_layers, fit_layers
from regimegym.training.formatting import percent
from regimegym.training.latency import decision_latencies
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.outcome import calibration_of, gate_words, report_context, summary_block, write_outcome
from regimegym.training.preparation import Training, device_of, write_manifest
from regimegym.training.sb3_baseline import train_sb3
from regimegym.training.summary import RunSummary, render_summary
from regimegym.training.wiring import trust_word

DRAWN = ("agent", "buy_and_hold", "ma_cross", "random", "flat")  # in the equity image; the ceiling would leave it


def finish(training: Training, callback: TrainingCallback, board: Board) -> float:
    """Score the selected model, write results and report, print the summary."""
    experiment, folder, seed = training.experiment, training.folder, training.random_seed
    device = device_of(training.settings.device)
    policy, card = fit_layers(folder, experiment, training.decision, device)
    ledger, fingerprint = Ledger(LEDGER), experiment.market.bars.fingerprint
    label = type(training.algorithm).__name__
    rows = {"validation": experiment.split.validation}
    record_trial(training, callback.best)
    looks = None
    if training.job is None:
        rows["test"] = experiment.split.test
        looks = ledger.count_looks(fingerprint, experiment.interval(rows["test"]))
        ledger.record_look(fingerprint, experiment.interval(rows["test"]), str(folder.path))
    tape, settings, evaluation = experiment.tape, experiment.settings, training.evaluation
    rules = fit_rules(tape, settings, experiment.split.train, evaluation.cross)
    others = train_sb3(training)
    found = [
        evaluate_policy(policy, tape, settings, part_rows, part, seed, label, evaluation, rules, others)
        for part, part_rows in rows.items()
    ]
    decision = describe_layers(folder, experiment, rows, device)
    last = list(rows.values())[-1]
    calibration = calibration_of(policy, card, experiment.tape, last, experiment.settings.account)
    latencies = decision_latencies(policy, card).tolist()
    context = _context(training, card, found, looks, ledger.count_trials(fingerprint), calibration, latencies)
    context = replace(context, decision=decision)
    write_outcome(folder, found, context)
    for part in found:
        board.equity_image(
            callback.best_step,
            part.agent.timestamps,
            {key: part.trajectories[key].equity for key in DRAWN},
            part.part,
            "final",
        )
    board.hyper_parameters(_compared(training), _final_metrics(found))
    write_manifest(training, "finished", learning_s=callback.seconds)
    console = Console(highlight=False)
    render_summary(_summary(training, callback, found), console)
    gate = card.entrance()
    if gate is not None and not gate.is_open:
        console.print(f"gate     {gate_words(gate)}; trainer.gate=null takes it away", soft_wrap=True)
    if calibration is not None and calibration["regimes"] is not None:
        console.print(f"regimes  {detector_words(calibration['regimes'], found[-1].part)}", soft_wrap=True)
    return found[0].metrics["agent"]["log_return"]


def detector_words(found: Mapping[str, Any], part: str) -> str:
    """How well the network names the causal regime on bars it did not learn from."""
    shares = [percent(share, 0) for share in (found["balanced"], 1 / found["n_labels"], found["agreement"])]
    return (
        f"named right on {shares[0]} of the {part} bars, averaged over the labels ({shares[1]} by saying one alone);"
        f" on {shares[2]} of all bars, where the commonest label makes {percent(found['majority'], 0)}"
    )


def record_trial(training: Training, score: float) -> None:
    """Enter the training in the ledger: one more configuration was scored on this validation."""
    experiment = training.experiment
    interval = experiment.interval(experiment.split.validation)
    Ledger(LEDGER).record_trial(experiment.market.bars.fingerprint, interval, str(training.folder.path), score)


def _context(
    training: Training,
    card: ModelCard,
    found: Sequence[Evaluation],
    looks: int | None,
    trials: int,
    calibration: dict[str, Any] | None,
    latencies_ms: Sequence[float],
) -> ReportContext:
    """What the report says about the run itself."""
    bars = training.experiment.market.bars
    again = f"regime-gym evaluate run={training.folder.path}{trust_word(training.config)}"
    return report_context(
        training.folder,
        bars,
        card,
        settings=OmegaConf.to_container(training.config, resolve=True),
        looks=looks,
        trials=trials,
        validation=found[0].metrics["agent"] if len(found) > 1 else None,
        commands=[
            ("Train again", shlex.join(["regime-gym", "train", *training.overrides])),
            ("Evaluate again", again),
            ("Go through the scenarios", f"{again} suite=default"),
        ],
        calibration=calibration,
        latencies_ms=latencies_ms,
    )


def _summary(training: Training, callback: TrainingCallback, found: Sequence[Evaluation]) -> RunSummary:
    return RunSummary(
        headline=f"Training finished{_early(training, callback)}",
        steps=training.algorithm.num_timesteps,
        duration_s=(datetime.now().astimezone() - training.started).total_seconds(),
        best_step=callback.best_step,
        random_seed=training.random_seed,
        blocks=[summary_block(part) for part in found],
        action_shares=action_shares(found[-1].agent, found[-1].settings.action),
        folder=str(training.folder.path),
        overrides=training.overrides,
        labels={"ma_cross": found[-1].labels["ma_cross"]},
        trust=trust_word(training.config),
    )


def _early(training: Training, callback: TrainingCallback) -> str:
    """Why it ended before its last step, where it did."""
    if not callback.is_out_of_patience or training.algorithm.num_timesteps >= training.settings.total_steps:
        return ""
    return f" early, no new best in {training.settings.patience} looks at validation"


def _compared(training: Training) -> dict[str, Any]:
    return {"agent": type(training.algorithm).__name__, **compared_settings(training.config, training.overrides)}


def _final_metrics(found: Sequence[Evaluation]) -> dict[str, float]:
    names = ("log_return", "sharpe_ratio", "max_drawdown")
    return {f"{part.part}/{name}": part.metrics["agent"][name] for part in found for name in names}
