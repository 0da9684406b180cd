"""Sliding windows: never across a split or a segment, padding masked, the last step always a bar."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.sequences import SequenceSettings, augmented, part_sequences, split_sequences, window_rows
from regimegym.features.splits import RowRange, Split
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.tape import MarketTape, Segment, price_tape


def tape_of(segments: list[Segment]) -> MarketTape:
    """A tape whose two features are the row number and its negative, plus one so that none is 0."""
    n = segments[-1].stop
    rows = np.arange(1, n + 1, dtype=np.float32)
    tape = price_tape(draw_world("gbm", n, np.random.default_rng(0)).bars)
    return replace(tape, features=np.stack([rows, -rows], axis=1), feature_names=("a", "b"), segments=tuple(segments))


TWO = tape_of([Segment("A", 0, 100, 10), Segment("B", 100, 180, 120)])


@st.composite
def cases(draw):
    length = draw(st.integers(1, 40))
    settings = SequenceSettings(length, draw(st.integers(1, 7)), draw(st.integers(1, length)))
    start = draw(st.integers(0, 120))
    return settings, RowRange(start, draw(st.integers(start + 50, 180)))


@given(cases())
def test_every_window_is_its_own_bars_of_one_part_and_one_segment(case):
    settings, part = case
    try:
        found = part_sequences(TWO, part, settings)
    except DataError:
        assert all(min(s.stop, part.stop) - max(s.first_row, part.start) < settings.min_length for s in TWO.segments)
        return
    for values, mask, row in zip(*found, strict=True):
        held = values[mask, 0].astype(int) - 1
        n = mask.sum()
        np.testing.assert_array_equal(held, np.arange(row - n + 1, row + 1))
        segment = TWO.segment_of(row)
        first = max(segment.first_row, part.start)
        assert first <= held[0] <= held[-1] == row < min(part.stop, segment.stop)
        assert n == min(settings.length, row - first + 1) >= settings.min_length
        assert mask[-1]
        assert (np.diff(mask.astype(int)) >= 0).all()  # padding in front only
        assert (values[~mask] == 0).all()


def test_a_stride_skips_ends_and_whole_windows_have_no_padding():
    settings = SequenceSettings(length=20, stride=5, min_length=20)
    found = part_sequences(TWO, RowRange(0, 180), settings)
    np.testing.assert_array_equal(found.rows, [*range(29, 100, 5), *range(139, 180, 5)])
    assert found.mask.all()


def test_parts_of_a_split_share_no_row():
    split = Split(RowRange(10, 60), RowRange(60, 80), RowRange(80, 100))
    parts = split_sequences(TWO, split, SequenceSettings(length=15))
    seen = [set(found.values[found.mask][:, 0]) for found in parts.values()]
    assert list(parts) == ["train", "validation", "test"]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 90


def test_changing_test_rows_leaves_the_windows_of_other_parts():
    changed = TWO.features.copy()
    changed[80:] = 99.0
    split = Split(RowRange(10, 60), RowRange(60, 80), RowRange(80, 100))
    for part in ("train", "validation"):
        one, other = (split_sequences(tape, split)[part].values for tape in (TWO, replace(TWO, features=changed)))
        np.testing.assert_array_equal(one, other)


def test_augmented_windows_keep_their_padding_and_their_last_bar():
    found = part_sequences(TWO, RowRange(0, 180), SequenceSettings(length=12))
    rng = np.random.default_rng(0)
    changed = augmented(found, rng, noise=0.5, scale=0.1, shortened=0.5)
    assert (changed.values[~changed.mask] == 0).all()
    assert changed.mask[:, -1].all()
    assert not (changed.mask & ~found.mask).any()
    assert 0.3 < (changed.mask.sum(axis=1) < found.mask.sum(axis=1)).mean() < 0.55
    noisy = augmented(found, rng, noise=0.5)
    assert (noisy.values - found.values)[found.mask].std() == pytest.approx(0.5, rel=0.05)
    same = augmented(found, rng, noise=0.0)
    np.testing.assert_array_equal(same.values, found.values)
    assert not np.shares_memory(same.values, found.values)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: SequenceSettings(length=0), ConfigError, "'length' must be a whole number ≥ 1, got 0"),
        (lambda: SequenceSettings(5, 1, 6), ConfigError, r"'min_length' must be ≤ 'length' \(5\), got 6"),
        (
            lambda: window_rows(TWO.segments, RowRange(0, 12), SequenceSettings(9, 1, 3)),
            DataError,
            "no window of 3 bars lies in the rows 0 … 11",
        ),
    ],
)
def test_windows_that_cannot_be_are_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
