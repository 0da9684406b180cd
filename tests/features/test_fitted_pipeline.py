"""A fitted pipeline: frozen on training rows, kept as data, equal after a round trip; and the cache of tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
from market_context import rows_of

from regimegym.common.errors import ModelError
from regimegym.features import cache
from regimegym.features import market as market_module
from regimegym.features.feature import FEATURES
from regimegym.features.fitted import FittedPipeline
from regimegym.features.market import prepare_market
from regimegym.features.pipeline import FeatureSettings, compute_columns, feature_set
from regimegym.features.regimes import RegimeSettings
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.features.tail import bar_at

BARS = regime_switching_market(900, 5).bars
RULE = RegimeSettings(z_threshold=1.3)
MARKET = prepare_market(BARS, RULE, feature_set("minimal"))
TRAIN = RowRange(150, 600)
PIPELINE = FittedPipeline.fit(MARKET, TRAIN, RULE)


def test_a_saved_pipeline_comes_back_bit_for_bit(tmp_path):
    PIPELINE.save(tmp_path / "new" / "folder")
    again = FittedPipeline.load(tmp_path / "new" / "folder")
    assert again.hash == PIPELINE.hash
    assert (again.features, again.regimes) == (PIPELINE.features, RULE)
    first, second = PIPELINE.tape(MARKET), again.tape(again.market(BARS))
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.regimes, second.regimes)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["pipeline.json"]


def test_rows_behind_the_training_change_nothing_in_it():
    later = np.arange(900) >= 600
    other = replace(BARS, **{n: np.where(later, 2.0 * getattr(BARS, n), getattr(BARS, n)) for n in ("high", "close")})
    other = replace(other, high=np.maximum(other.high, other.close))
    assert FittedPipeline.fit(prepare_market(other, RULE, feature_set("minimal")), TRAIN, RULE).hash == PIPELINE.hash


def test_the_hash_follows_names_rule_and_scaler():
    others = [
        FittedPipeline.fit(MARKET, RowRange(150, 500), RULE),
        replace(PIPELINE, regimes=RegimeSettings()),
        replace(PIPELINE, features=FeatureSettings(PIPELINE.features.names[::-1])),
    ]
    assert len({PIPELINE.hash, *(other.hash for other in others)}) == 4


def test_another_order_is_realigned_and_other_features_are_listed():
    shuffled = prepare_market(BARS, RULE, FeatureSettings(MARKET.table.names[::-1]))
    np.testing.assert_array_equal(PIPELINE.tape(shuffled).features, PIPELINE.tape(MARKET).features)
    fewer = prepare_market(BARS, RULE, FeatureSettings((*MARKET.table.names[1:], "adx")))
    with pytest.raises(ModelError, match="missing: return_1; extra: adx"):
        PIPELINE.tape(fewer)


def test_bars_of_another_length_are_refused():
    with pytest.raises(ModelError, match="was fitted on bars of 60 minutes"):
        PIPELINE.market(replace(BARS, timeframe_ns=BARS.timeframe_ns // 2))


def test_a_streamed_row_scales_as_the_row_of_the_batch():
    stream = PIPELINE.stream()
    streamed = np.array([stream.push(bar_at(BARS, row)).values for row in range(300)])
    tape = PIPELINE.tape(MARKET)
    np.testing.assert_allclose(PIPELINE.scaler.transform(streamed)[150:], tape.features[150:300], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(PIPELINE.scaler.transform(MARKET.table.values[250]), tape.features[250])


@pytest.mark.parametrize(
    ("edit", "name", "sentence"),
    [
        (lambda found: found["scaler"]["mean"].__setitem__(0, 9.0), "edited-pipeline", "was changed after it was"),
        (lambda found: found.pop("scaler"), "damaged-pipeline", "does not describe a pipeline"),
        (lambda found: found["features"].update(names=["gone"]), "damaged-pipeline", "there is no feature 'gone'"),
        (lambda found: found.update(format_version=9), "foreign-pipeline", "no pipeline of format version 1"),
    ],
)
def test_a_pipeline_that_is_not_what_was_written_is_refused(tmp_path, edit, name, sentence):
    path = PIPELINE.save(tmp_path)
    found = json.loads(path.read_text())
    edit(found)
    path.write_text(json.dumps(found))
    with pytest.raises(ModelError, match=sentence) as error:
        FittedPipeline.load(tmp_path)
    assert error.value.name == name


def test_no_pipeline_and_no_json_are_told_apart(tmp_path):
    with pytest.raises(ModelError, match=r"holds no pipeline\.json"):
        FittedPipeline.load(tmp_path)
    (tmp_path / "pipeline.json").write_text("{")
    with pytest.raises(ModelError, match="is no JSON"):
        FittedPipeline.load(tmp_path)


# --- cache -----------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """One entry for each table that is computed."""
    calls = []

    def compute(*arguments):
        calls.append(1)
        return compute_columns(*arguments)

    monkeypatch.setattr(market_module, "compute_columns", compute)
    return calls


def test_what_code_of_the_user_computes_is_never_kept(tmp_path, counted, monkeypatch):
    rsi = FEATURES.get("rsi")
    monkeypatch.setitem(FEATURES._parts, "rsi", replace(rsi, compute=lambda inputs: rsi.compute(inputs)))
    assert rsi.is_built_in
    assert FEATURES.get("momentum_10_60min").is_built_in
    assert not FEATURES.get("rsi").is_built_in
    for _ in range(2):
        prepare_market(BARS, RULE, feature_set("minimal", cache=str(tmp_path)))
    assert len(counted) == 2
    assert not list(tmp_path.iterdir())


def test_a_kept_table_is_not_computed_again(tmp_path, counted):
    settings = feature_set("minimal", cache=str(tmp_path))
    first, second = (prepare_market(BARS, RULE, settings).table for _ in range(2))
    assert len(counted) == 1
    assert first.fingerprint == second.fingerprint == MARKET.table.fingerprint
    assert not second.values.flags.writeable


def test_other_bars_rules_names_or_code_are_computed(tmp_path, counted, monkeypatch):
    settings = feature_set("minimal", cache=str(tmp_path))
    prepare_market(BARS, RULE, settings)
    prepare_market(rows_of(BARS, slice(800)), RULE, settings)
    prepare_market(BARS, RegimeSettings(), settings)
    prepare_market(BARS, RULE, feature_set("minimal", drop=["return_1"], cache=str(tmp_path)))
    monkeypatch.setattr(cache, "code_fingerprint", lambda: "other")
    prepare_market(BARS, RULE, settings)
    assert len(counted) == len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("file", ["values.npy", "about.json"])
def test_a_damaged_entry_is_made_anew_and_logged(tmp_path, counted, caplog, file):
    settings = feature_set("minimal", cache=str(tmp_path))
    prepare_market(BARS, RULE, settings)
    (entry,) = tmp_path.iterdir()
    damaged = bytearray((entry / file).read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (entry / file).write_bytes(damaged)
    assert prepare_market(BARS, RULE, settings).table.fingerprint == MARKET.table.fingerprint
    assert "is damaged and made anew" in caplog.text
    prepare_market(BARS, RULE, settings)
    assert len(counted) == 2


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    market = prepare_market(BARS, RULE, feature_set("minimal", cache=str(tmp_path / "file")))
    assert market.table.fingerprint == MARKET.table.fingerprint
    assert "features are not kept" in caplog.text


def test_small_tables_are_not_kept_unless_asked_and_large_ones_lie_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder("auto", BARS, FeatureSettings()) is None
    assert cache.cache_folder("off", BARS, FeatureSettings()) is None
    monkeypatch.setattr(cache, "LEAST_CELLS", 1_000)
    assert cache.cache_folder("auto", BARS, FeatureSettings()) == tmp_path / "regime-gym" / "features"
