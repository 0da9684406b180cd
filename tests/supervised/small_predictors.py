"""Settings with which each predictor learns in a moment; those that are missing use their defaults."""

from pathlib import Path

import regimegym.conf
from regimegym.supervised.boosting_settings import XGBoostSettings
from regimegym.supervised.calibration import CalibratedSettings
from regimegym.supervised.ensemble.settings import EnsembleSettings
from regimegym.supervised.hidden_markov import HMMSettings
from regimegym.supervised.multi_target import MultiTargetSettings
from regimegym.supervised.prepared import PreparedSettings
from regimegym.supervised.random_forest import RandomForestSettings
from regimegym.supervised.sequence.networks import GRUSettings, LSTMSettings, TCNSettings, TFTSettings

FOLDER = Path(regimegym.conf.__file__).parent / "predictor"
FOREST = {"n_estimators": 5, "min_samples_leaf": 3, "max_features": 1.0}
SHORT = {"sequence_length": 5, "epochs": 2, "batch_size": 32, "learning_rate": 1e-2, "device": "cpu"}
SMALL = {
    "calibrated": CalibratedSettings("random_forest", FOREST),
    "multi_target": MultiTargetSettings(settings=FOREST),
    "ensemble": EnsembleSettings(
        base_models=("logistic", "random_forest"),
        base_settings={"random_forest": FOREST},
        n_splits=2,
    ),
    "gru": GRUSettings(width=6, layers=1, **SHORT),
    "lstm": LSTMSettings(widths=(8, 4), heads=2, **SHORT),
    "tcn": TCNSettings(width=6, **SHORT),
    "tft": TFTSettings(width=6, heads=2, **SHORT),
    "hmm": HMMSettings(("x0", "x1"), n_states=2, n_restarts=2, n_iter=10, state_signals=("next", "bars_in_state")),
    "prepared": PreparedSettings(
        "logistic",
        selection={"method": "permutation", "n_features": 3, "n_repeats": 2},
        augmentation={"method": "block_bootstrap", "n_samples": 20, "block_size": 4},
    ),
    "random_forest": RandomForestSettings(n_estimators=10, min_samples_leaf=3, max_features=1.0),
    "xgboost": XGBoostSettings(n_estimators=20, max_depth=3, learning_rate=0.3, early_stopping_rounds=5, n_threads=1),
}
