"""A fit from its configuration to its run folder.

config.yaml, overrides.yaml, manifest.json   what ran
predictors/                                  the last models as data, and predictors.json
metrics.json, comparison.md                  scores with intervals, paired tests
figures/, states-NAME.md, explanations.json  what there is to look at
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from regimegym.common.checks import check_flag
from regimegym.common.seeding import generator
from regimegym.supervised.calibration import reliability
from regimegym.supervised.comparison import CrossValidation
from regimegym.supervised.hidden_markov import HiddenMarkov
from regimegym.supervised.predictor_set import OnFit, PredictorSet, about_fitted
from regimegym.training import fit_figures as draw
from regimegym.training.explanations import Explanation, check_explainable, explanation_of
from regimegym.training.fit_states import StateReport, state_report
from regimegym.training.fit_tables import comparison_page, fold_lines, shift_lines, states_page, terminal_lines
from regimegym.training.fitting import (
    OUT_OF_FOLD,
    VALIDATION,
    Fit,
    FitData,
    Pair,
    fit_all,
    fit_data,
    groups_of,
    paired_tests,
)
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.manifest import build_manifest
from regimegym.training.predictions import targets_of
from regimegym.training.preparation import Job
from regimegym.training.room import check_writable
from regimegym.training.run_folder import PREDICTORS, RUNS, RunFolder, check_free
from regimegym.training.same_data import data_fingerprints
from regimegym.training.wiring import build

MAIN_SCORES = ("log_loss", "mse")  # what a search looks at first: proper scores of classes and of numbers
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Fitting:
    """All that one `regime-gym fit` has found."""

    data: FitData
    fits: Sequence[Fit]
    pairs: Sequence[Pair]
    states: Mapping[str, StateReport]
    explanations: Mapping[str, Explanation]


def fit(config: DictConfig, overrides: Sequence[str], job: Job | None, say: Say) -> RunFolder:
    """Fit, compare, write the run folder and tell what was found.

    Args:
        config: composed from conf/fit.yaml. overrides: its words. job: place in a sweep of `-m`.
        say: shows a line.

    Raises:
        ConfigError, DataError: a mistake in the input; nothing was written.
        MachineError: a missing extra, or the disk refuses.
    """
    started = datetime.now().astimezone()
    _check(config)
    where = config.run_dir or (None if job is None else str(job.folder))
    check_writable(Path(where or RUNS))
    if where is not None:
        check_free(Path(where) if job is None else Path(where) / str(job.number))
    data = fit_data(config)
    with _told(data.market.bars.symbol) as on_fit:
        found = find(config, data, on_fit)
    name = config.name or "-".join(config.predictors)
    folder = RunFolder.create(where, f"fit-{name}"[:60], started, None if job is None else job.number)
    _write(folder, config, overrides, found, started)
    for line in chain(fold_lines(found.fits), terminal_lines(found.fits, found.pairs)):
        say(line)
    for k, line in enumerate(shift_lines(found.explanations)):
        say(line if k else f"\n{line}")
    for report in found.states.values():
        say(f"\n{states_page(report).strip()}")
    say(f"\nfolder   {folder.path}")
    return folder


def _check(config: DictConfig) -> None:
    """Raise ConfigError or MachineError where something is wrong or missing that the run would need at its end."""
    check_flag("figures", config.figures)
    check_flag("explain", config.explain)
    groups = groups_of(config)
    if config.figures:
        draw.check_matplotlib()
    if config.explain:
        for make in chain.from_iterable(group.makers.values() for group in groups):
            check_explainable(make())


def find(config: DictConfig, data: FitData, on_fit: OnFit) -> Fitting:
    """Fit and compare; nothing is written."""
    fits, seed = fit_all(config, data, on_fit), int(config.random_seed)
    pairs = paired_tests(fits, seed, build(config.intervals))
    states = {fit.name: state_report(fit) for fit in fits if isinstance(fit.last, HiddenMarkov)}
    explained = [fit for fit in fits if config.explain and not fit.is_floor and fit.last.needs_labels]
    explanations = {fit.name: explanation_of(fit, generator(seed, f"explain/{fit.name}")) for fit in explained}
    return Fitting(data, fits, pairs, states, explanations)


def score_of(found: CrossValidation) -> float:
    """Its log loss, or the mean squared error of a number."""
    return next(found.scores[name] for name in MAIN_SCORES if name in found.scores)


def _write(folder: RunFolder, config: DictConfig, overrides: Sequence[str], found: Fitting, started: datetime) -> None:
    """The files of the module's docstring; the manifest that says `finished` comes last."""
    folder.write_text(folder.config.name, OmegaConf.to_yaml(config, resolve=True))
    folder.write_text(folder.overrides.name, OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    predictor_set(config, found).save(folder.predictors)
    folder.write_json(folder.metrics.name, metrics(found))
    folder.write_text("comparison.md", comparison_page(found.fits, found.pairs, found.explanations))
    for name, report in found.states.items():
        folder.write_text(f"states-{name}.md", states_page(report))
    if found.explanations:
        folder.write_json("explanations.json", {name: one.to_json() for name, one in found.explanations.items()})
    if config.figures:
        for name, text in figures(found):
            folder.write_text(f"figures/{name}.svg", text)
    _record_trials(found, folder)
    manifest = build_manifest(
        **data_fingerprints(found.data.market),
        random_seed=int(config.random_seed),
        device="cpu",
        execution="none",
        started=started,
        finished=datetime.now().astimezone(),
        status="finished",
        kind=PREDICTORS,
    )
    folder.write_json(folder.manifest.name, manifest)


def predictor_set(config: DictConfig, found: Fitting) -> PredictorSet:
    """The predictors with their last models, as a training keeps them."""
    return PredictorSet(
        found.data.lesson.names,
        {fit.name: fit.found.fitted.models for fit in found.fits},
        {fit.name: about_fitted(fit.found.fitted, fit.data.lesson) for fit in found.fits},
        targets_of(config),
    )


def metrics(found: Fitting) -> dict[str, Any]:
    """Scores, intervals and folds by predictor, and the pairs; plain."""
    about = {fit.name: {part: _plain_scores(one) for part, one in fit.scores.items()} for fit in found.fits}
    for name, report in found.states.items():
        fit = next(fit for fit in found.fits if fit.name == name)
        scores = fit.last.validate(fit.data.later.take(np.arange(fit.data.first, len(fit.data.later))))
        about[name] = {VALIDATION: {"scores": {**scores, **report.agreement}}}
    targets = {fit.name: fit.data.target for fit in found.fits}
    return {"predictors": about, "targets": targets, "pairs": [_plain_pair(pair) for pair in found.pairs]}


def _plain_pair(pair: Pair) -> dict[str, Any]:
    return {**pair._asdict(), "difference": pair.difference._asdict()}


def _plain_scores(found: CrossValidation) -> dict[str, Any]:
    scores = dict(found.scores)
    if found.classes:
        scores["ece"] = reliability(found.labels, found.answers).ece
    return {
        "scores": scores,
        "intervals": {name: interval._asdict() for name, interval in found.intervals.items()},
        "folds": [dict(one) for one in found.fold_scores],
    }


def figures(found: Fitting) -> Iterator[tuple[str, str]]:
    """Name and SVG text of every figure."""
    own = [fit for fit in found.fits if not fit.is_floor]
    for fit in own:
        worth = fit.last.feature_importance()
        yield (
            f"importance-{fit.name}",
            draw.importance_figure(worth, f"{fit.name}: importance of features", "share"),
        )
    targets = dict.fromkeys(fit.data.target for fit in own if fit.scores and fit.data.lesson.classes)
    for target, part in product(targets, (OUT_OF_FOLD, VALIDATION)):
        scored = [fit.scores[part] for fit in own if fit.scores and fit.data.target == target]
        whose = f"-{target}" if len(targets) > 1 else ""
        title = ", ".join(["Calibration", *([target] if whose else []), part])
        yield f"calibration{whose}-{_word(part)}", draw.calibration_figure(scored, title)
        for one in scored:
            yield f"confusion-{one.name}-{_word(part)}", draw.confusion_figure(one, f"{one.name}, {part}")
    for name, report in found.states.items():
        yield f"states-{name}", draw.states_figure(report)
        yield f"transition-{name}", draw.transition_figure(report)
    for name, why in found.explanations.items():
        yield f"{why.method}-{name}", draw.importance_figure(why.worth, f"{name}: {why.method}, validation", why.unit)
        if why.attention is not None:
            yield f"attention-{name}", draw.attention_figure(why.attention, f"{name}: attention, validation")


def _word(part: str) -> str:
    return part.replace(" ", "-")


def _record_trials(found: Fitting, folder: RunFolder) -> None:
    """Every predictor that was scored on validation is a trial on these data."""
    market, rows = found.data.market, found.data.split.validation
    stamps = market.table.timestamps
    interval = (int(stamps[rows.start]), int(stamps[rows.stop - 1]) + market.bars.timeframe_ns)
    for fit in found.fits:
        if fit.scores and not fit.is_floor:
            Ledger(LEDGER).record_trial(
                market.bars.fingerprint, interval, str(folder.path), -score_of(fit.scores[VALIDATION])
            )


@contextmanager
def _told(symbol: str) -> Iterator[OnFit]:
    """A listener that shows which predictor is being fitted, where somebody looks."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda name, done, total: None
        return
    with console.status(f"predictors on {symbol}") as status:
        yield lambda name, done, total: status.update(f"predictors on {symbol}: {done + 1} of {total}, {name}")
