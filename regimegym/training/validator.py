"""How an algorithm is scored on the validation part while it learns."""

from dataclasses import replace

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.attention_map import mean_attention
from regimegym.agents.gate import gate_statistic
from regimegym.agents.policy import policy_of
from regimegym.common.seeding import generator
from regimegym.evaluate.baselines import fit_rules, run_baselines
from regimegym.evaluate.intervals import log_return_intervals
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.rollout import rollout_with_scores
from regimegym.training.callback import Score
from regimegym.training.insight import Insight
from regimegym.training.preparation import Training

SHOWN_BASELINES = ("buy_and_hold", "ma_cross")
WINDOWS = 128  # of validation bars in the mean attention
RESAMPLES = 500  # of the interval at each validation; a chart needs no more


class Validator:
    """Scores an algorithm on the validation part; the baselines there are run once."""

    def __init__(self, training: Training) -> None:
        self._experiment = training.experiment
        experiment, rows = training.experiment, training.experiment.split.validation
        tape, settings = experiment.tape, experiment.settings
        rules = fit_rules(tape, settings, experiment.split.train, training.evaluation.cross)
        runs = run_baselines(tape, settings, rows, training.random_seed, 0, random_accounts=1, rules=rules)
        self._intervals = replace(
            training.evaluation.intervals, n_resamples=min(RESAMPLES, training.evaluation.intervals.n_resamples)
        )
        self.t_statistic = 0.0  # of the newest look
        self._random_seed = training.random_seed
        self._equities = {key: runs.trajectories[key].equity for key in SHOWN_BASELINES}
        shown = np.linspace(rows.start, rows.stop - 1, min(rows.count, WINDOWS)).astype(np.int64)
        self._windows = experiment.tape.windows(shown, experiment.settings.episode.window)
        # A random trader is compared at the agent's own number of trades, which is not known yet.
        self._baselines = {key: all_metrics(found) for key, found in runs.trajectories.items() if key != "random"}

    def __call__(self, algorithm: BaseAlgorithm) -> Score:
        """Metrics of the agent and the baselines, and the interval of the agent's log return."""
        experiment = self._experiment
        policy = policy_of(algorithm.policy)
        found, scores = rollout_with_scores(policy, experiment.tape, experiment.settings, experiment.split.validation)
        self.t_statistic = gate_statistic(found.log_returns)
        draws = generator(self._random_seed, "validation-interval")
        ((own,), _) = log_return_intervals(found.log_returns[None], found.n_trades, self._intervals, draws)
        attention = mean_attention(algorithm.policy, self._windows)
        insight = Insight(found, scores, self._equities, attention)
        return Score({"agent": all_metrics(found), **self._baselines}, (own.low, own.high), insight)
