"""A market with features and labels, small enough for tests, as scenarios are made of it."""

from dataclasses import replace

from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.evaluate.scenarios import Ground
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import feature_set
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market

FEATURES = feature_set("minimal")
SETTINGS = EnvSettings(episode=EpisodeSettings(window=30))


def make_ground(n_bars=1_500, part="test", symbol="COIN", **changes):
    """Train up to bar 800, validation to 1,100, test behind it."""
    bars = replace(regime_switching_market(n_bars, 3).bars, symbol=symbol)
    market = prepare_market(bars, feature_settings=FEATURES)
    scaler = fit_scaler(market.table, RowRange(market.table.warm_up, 800))
    spans = {
        "train": RowRange(market.table.warm_up, 800),
        "validation": RowRange(830, 1_100),
        "test": RowRange(1_130, n_bars),
    }
    given = {
        "bars": bars,
        "tape": build_tape(market, scaler),
        "settings": SETTINGS,
        "rows": spans[part],
        "part": part,
        "spans": spans,
        "as_tape": lambda other: build_tape(prepare_market(other, feature_settings=FEATURES), scaler),
    }
    return Ground(**given | changes)
