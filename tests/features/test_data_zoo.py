"""A zoo of bad files: each is named by the check, each with its line; what can be mended passes afterwards."""

import numpy as np
import pandas as pd
import pytest
from files_of_prices import csv_lines, good_prices, write
from hypothesis import given, settings
from hypothesis import strategies as st

from regimegym.common.errors import DataError
from regimegym.features.loading import load_bars
from regimegym.features.quality.checker import DataQualityChecker
from regimegym.features.quality.repair import repair_file

CHECKER = DataQualityChecker()


def changed(line: int, column: str, text: str):
    """A good file with one cell replaced (line 2 is the first row)."""

    def make() -> list[str]:
        frame = good_prices()
        lines = csv_lines(frame)
        cells = lines[line - 1].split(",")
        cells[list(frame.columns).index(column)] = text
        return [*lines[: line - 1], ",".join(cells), *lines[line:]]

    return make


def of_lines(change):
    """A good file after `change` of its lines."""
    return lambda: change(csv_lines(good_prices()))


def with_times(times, **options):
    """A good file with other texts in its column of times."""

    def make() -> list[str]:
        return csv_lines(good_prices(**options).assign(date=times(good_prices(**options)["date"])))

    return make


def quotes(bid: float, ask: float):
    """A good file that quotes, with line 6 changed."""

    def make() -> pd.DataFrame:
        frame = good_prices().assign(bid=lambda f: f.close - 0.01, ask=lambda f: f.close + 0.01)
        frame.loc[4, ["bid", "ask"]] = frame.loc[4, "close"] + np.array([bid, ask])
        return frame

    return make


def two_zones(dates: pd.Series) -> list[str]:
    return [f"{day:%Y-%m-%d %H:%M}{'+00:00' if i % 7 else ''}" for i, day in enumerate(dates)]


def berlin_autumn(dates: pd.Series) -> pd.Series:
    utc = pd.Series(pd.date_range("2023-10-28", periods=len(dates), freq="h", tz="UTC"))
    return utc.dt.tz_convert("Europe/Berlin").dt.tz_localize(None)


# name → file, rule, what the message says
VIOLATIONS = {
    "NaN in the middle": (changed(6, "close", ""), "missing-value", "line 6: column 'close' holds no value"),
    "text in a number column": (
        changed(4, "high", "n.v."),
        "not-a-number",
        "line 4: column 'high' holds 'n.v.', which is no number",
    ),
    "infinite": (changed(4, "volume", "inf"), "not-finite", "line 4: column 'volume' holds inf"),
    "decimal comma": (changed(3, "open", '"100,5"'), "not-a-number", "a decimal comma? data.dialect=decimal_comma"),
    "thousands separators": (
        changed(3, "volume", '"1,234,567.5"'),
        "not-a-number",
        "write 1234567.5, without thousands",
    ),
    "a currency sign": (changed(3, "open", "$100.5"), "not-a-number", "write the number alone, without a unit"),
    "duplicated": (
        of_lines(lambda rows: [*rows[:5], rows[4], *rows[5:]]),
        "duplicate-timestamps",
        "line 6: column 'timestamp': 2024-01-04 00:00:00 stands there twice",
    ),
    "unordered": (of_lines(lambda rows: [*rows[:5], rows[6], rows[5], *rows[7:]]), "unsorted", "line 7: "),
    "negative price": (changed(9, "low", "-3"), "non-positive-price", "line 9: column 'low' must be positive, is -3"),
    "high below low": (changed(9, "high", "1"), "high-below-low", "line 9: column 'high': 1 is below low"),
    "close above high": (changed(9, "close", "999"), "close-outside-bar", "line 9: column 'close': 999 is above high"),
    "negative volume": (
        changed(9, "volume", "-1"),
        "negative-volume",
        "line 9: column 'volume' must be zero or more, is -1",
    ),
    "no date": (
        changed(7, "date", "soon"),
        "unreadable-date",
        "line 7: column 'timestamp' holds 'soon', which is no date",
    ),
    "an empty date": (changed(7, "date", ""), "unreadable-date", "line 7: column 'timestamp' is empty"),
    "ragged": (
        of_lines(lambda rows: [*rows[:8], "2024-01-08,1,2", *rows[8:]]),
        "ragged-line",
        "line 9: 3 cells where the header has 6",
    ),
    "two header rows": (of_lines(lambda rows: [rows[0], *rows]), "not-a-number", "line 2: column 'open' holds 'open'"),
    "two zones": (
        with_times(two_zones),
        "unreadable-date",
        "line 2: column 'timestamp' holds '2024-01-01 00:00', which",
    ),
    "crossed quotes": (quotes(0.02, -0.01), "crossed-quotes", "line 6: bid "),
    "an hour twice": (
        with_times(berlin_autumn, n=72, freq="h"),
        "duplicate-timestamps",
        "2023-10-29 02:00:00 stands there twice",
    ),
}
UNREADABLE = {
    "empty": ("", "empty-file", "is empty"),
    "header only": ("date,open,high,low,close\n", "empty-file", "has a header and no rows"),
    "no close": (of_lines(lambda rows: [row.rsplit(",", 2)[0] for row in rows]), "missing-column", "'close'"),
    "Excel dates": (with_times(lambda dates: range(45292, 45352)), "excel-dates", "serial number 45292"),
    "text that is Parquet": (b"PAR1\0\0\0", "wrong-kind-of-file", "is not the text"),
    "dates of words": (with_times(lambda dates: [f"day {i}" for i in range(60)]), "unreadable-dates", "'day 10'"),
}


def made(folder, recipe, name="prices.csv"):
    return write(folder, recipe() if callable(recipe) else recipe, name)


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_broken_rule_is_named_with_its_line(tmp_path, kind):
    recipe, rule, message = VIOLATIONS[kind]
    report = CHECKER.check_file(made(tmp_path, recipe))
    found = {finding.rule: finding for finding in report.violations}
    assert rule in found
    assert any(message in place for place in found[rule].places), found[rule].places
    assert 0 < report.score < 100


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_loading_refuses_what_the_check_calls_a_violation(tmp_path, kind):
    recipe, rule, _ = VIOLATIONS[kind]
    path = made(tmp_path, recipe)
    with pytest.raises(DataError) as error:
        load_bars(path)
    rules = [finding.rule for finding in CHECKER.check_file(path).violations]
    assert error.value.name in rules
    assert rule in rules


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_repaired_copy_passes_the_check_and_loads(tmp_path, kind):
    path = made(tmp_path, VIOLATIONS[kind][0])
    before = path.read_bytes()
    repair = repair_file(path, tmp_path / "mended.parquet")
    assert path.read_bytes() == before
    assert repair.changes
    assert CHECKER.check_file(tmp_path / "mended.parquet").is_clean
    assert len(load_bars(tmp_path / "mended.parquet")) == repair.n_rows >= 50


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_violation_and_no_error(tmp_path, kind):
    recipe, rule, message = UNREADABLE[kind]
    report = CHECKER.check_file(made(tmp_path, recipe))
    (finding,) = report.violations
    assert finding.rule == rule
    assert message in finding.sentence
    assert report.score == 0


def test_a_truncated_parquet_says_so(tmp_path):
    whole = write(tmp_path, good_prices(), "prices.parquet").read_bytes()
    report = CHECKER.check_file(write(tmp_path, whole[: len(whole) // 2], "half.parquet"))
    assert [finding.rule for finding in report.violations] == ["wrong-kind-of-file"]


def test_a_good_file_has_no_violation_in_any_form(tmp_path):
    lines = csv_lines(good_prices())
    assert CHECKER.check_file(write(tmp_path, lines)).score == 100
    for text in ("\ufeff" + "\n".join(lines), "\n".join(lines).replace(",", ";"), "\r\n".join(lines)):
        assert CHECKER.check_file(write(tmp_path, text)).is_clean
    report = CHECKER.check_file(write(tmp_path, [lines[0], *lines[:0:-1]]))
    assert report.is_clean
    assert [finding.rule for finding in report.findings] == ["newest-first"]


def test_seconds_and_milliseconds_in_one_file_are_the_same_times(tmp_path):
    epochs = [int(t.timestamp()) * (1000 if i > 30 else 1) for i, t in enumerate(good_prices()["date"])]
    report = CHECKER.check_file(write(tmp_path, csv_lines(good_prices().assign(date=epochs))))
    assert report.is_clean
    assert (report.first, report.last) == ("2024-01-01 00:00", "2024-02-29 00:00")


def test_everything_is_reported_at_once_and_bars_are_counted_once(tmp_path):
    lines = csv_lines(good_prices())
    cells = lines[4].split(",")
    lines[4] = ",".join([cells[0], "x", "-1", *cells[3:5], "inf"])  # three rules, one bar
    lines[9] = lines[9].replace("2024-01-09", "2024-01-08")
    lines.insert(20, "1,2")
    report = CHECKER.check_file(write(tmp_path, lines))
    rules = {finding.rule for finding in report.violations}
    assert rules >= {"not-a-number", "non-positive-price", "not-finite", "duplicate-timestamps", "ragged-line"}
    assert report.n_bars == 61
    assert report.score == pytest.approx(100 * (1 - 3 / 61))


def test_lines_behind_a_ragged_one_keep_their_numbers(tmp_path):
    lines = csv_lines(good_prices())
    lines[30] = lines[30].rsplit(",", 2)[0] + ",,1"
    lines.insert(10, "1,2")
    places = {finding.rule: finding.places for finding in CHECKER.check_file(write(tmp_path, lines)).violations}
    assert places["missing-value"][0].startswith("line 32: column 'close'")


def test_an_hour_that_autumn_repeats_points_to_the_zone(tmp_path):
    recipe = VIOLATIONS["an hour twice"][0]
    path = made(tmp_path, recipe)
    sentence = CHECKER.check_file(path).violations[0].sentence
    assert "data.timezone=Europe/" in sentence
    assert CHECKER.check_file(path, timezone="Europe/Berlin").is_clean


def test_a_local_hour_that_spring_leaves_out_is_named_alone(tmp_path):
    frame = good_prices(72, "h", "2024-03-30")  # 2024-03-31 02:00 does not exist in Berlin
    report = CHECKER.check_file(write(tmp_path, csv_lines(frame)), timezone="Europe/Berlin")
    assert [(finding.rule, finding.count) for finding in report.violations] == [("ambiguous-hour", 1)]
    assert "2024-03-31 02:00:00, a local time that Europe/Berlin has twice or never" in report.violations[0].places[0]


BAD_FRAMES = {
    "text prices": (lambda f: f.assign(open=["x"] * 60), "not-a-number"),
    "no close": (lambda f: f.drop(columns="close"), "missing-column"),
    "high below low": (lambda f: f.assign(high=1.0), "high-below-low"),
    "a time twice": (lambda f: f.set_index("date").iloc[[0, 1, 1, 2]], "duplicate-timestamps"),
    "NaN": (lambda f: f.assign(close=f.close.where(f.index != 5)), "missing-value"),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_a_frame_in_memory_is_held_to_the_same_contract(kind):
    spoil, name = BAD_FRAMES[kind]
    assert len(CHECKER.validate_schema(good_prices())) == 60
    with pytest.raises(DataError) as error:
        CHECKER.validate_schema(spoil(good_prices()))
    assert error.value.name == name


NASTY = st.sampled_from(
    [
        "",
        "nan",
        "-",
        "x",
        "inf",
        "-inf",
        "0",
        "-1",
        "1e400",
        "1,5",
        '"1,5"',
        "1_0",
        "1.2.3",
        "99999",
        "45292",
        "1704067200",
        "99999999999999999999",
        "2024-01-05",
        "ﬀ",
        '"',
    ]
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["cell", "cut", "twice", "swap", "text"]), st.integers(1, 30), st.integers(0, 5), NASTY),
    max_size=4,
)


def edited(edits) -> str:
    """A good file of 30 rows after some edits of lines and cells."""
    lines = csv_lines(good_prices(30))
    for kind, line, column, text in edits:
        line = min(line, len(lines) - 1)
        if kind == "cell":
            cells = lines[line].split(",")
            cells[min(column, len(cells) - 1)] = text
            lines[line] = ",".join(cells)
        elif kind == "cut":
            del lines[line]
        elif kind == "twice":
            lines.insert(line, lines[line])
        elif kind == "swap":
            lines[line - 1], lines[line] = lines[line], lines[line - 1]
        else:
            lines[line] += text
    return "\n".join(lines) + "\n"


def loads(path) -> bool:
    try:
        load_bars(path)
    except DataError:
        return False
    return True


@settings(max_examples=80, deadline=None)
@given(EDITS)
def test_a_file_loads_if_and_only_if_the_check_finds_no_violation(tmp_path_factory, edits):
    path = write(tmp_path_factory.mktemp("fuzz"), edited(edits))
    report = CHECKER.check_file(path)
    assert report.is_clean == loads(path)
    assert (report.score == 100) == report.is_clean


@settings(max_examples=40, deadline=None)
@given(EDITS)
def test_whatever_can_be_repaired_loads_afterwards(tmp_path_factory, edits):
    folder = tmp_path_factory.mktemp("fuzz")
    path = write(folder, edited(edits))
    try:
        repair = repair_file(path, folder / "out.csv")
    except DataError:
        assert not CHECKER.check_file(path).is_clean
        return
    assert CHECKER.check_file(folder / "out.csv").is_clean
    assert len(load_bars(folder / "out.csv")) == repair.n_rows
