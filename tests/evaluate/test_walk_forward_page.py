"""The page of a walk-forward says how it ended, whose model traded each fold, and why a new one was trained."""

import pytest
from page_examples import walked

from regimegym.evaluate.report.markdown import markdown_of
from regimegym.evaluate.report.walked import render_walk_forward, sentence


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ((0.3, 0.1, 0.5), "ahead of buy and hold (+0.300)"),
        ((-0.3, -0.5, -0.1), "behind buy and hold (−0.300)"),
        ((0.3, -0.1, 0.7), "not distinguishable from buy and hold (+0.300)"),
        ((0.3, None, None), "not distinguishable from buy and hold (+0.300)"),
    ],
)
def test_the_whole_interval_decides_what_is_said(above, said):
    assert sentence(walked(above=above)) == f"+0.100 in log return out of sample, {said}"


def test_folds_say_whose_model_trades_and_why_a_new_one_was_trained():
    page = render_walk_forward(walked())
    assert "keeps the model of fold 1" in page
    assert "trained anew: rsi &lt;b&gt; drifted" in page
    assert "2 of 4 folds ahead of buy and hold" in page
    assert "runs/&lt;walk&gt;" in page
    text = markdown_of(page)
    first = next(line for line in text.splitlines() if line.startswith("| 26 Jan 2011"))
    assert first.split(" | ")[1:6] == ["100", "+0.100", "0.000", "+0.030", "−0.030"]
    assert first.endswith("| – |")  # the first model has none before it
