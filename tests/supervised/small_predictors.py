"""Settings with which each predictor learns in a moment; those that are missing use their defaults."""

from pathlib import Path

import regimegym.conf
from regimegym.supervised.boosting_settings import XGBoostSettings
from regimegym.supervised.hidden_markov import HMMSettings
from regimegym.supervised.random_forest import RandomForestSettings

FOLDER = Path(regimegym.conf.__file__).parent / "predictor"
SMALL = {
    "hmm": HMMSettings(features=("x0", "x1"), n_states=2, n_restarts=2, n_iter=10),
    "random_forest": RandomForestSettings(n_estimators=10, min_samples_leaf=3, max_features=1.0),
    "xgboost": XGBoostSettings(n_estimators=20, max_depth=3, learning_rate=0.3, early_stopping_rounds=5, n_threads=1),
}
