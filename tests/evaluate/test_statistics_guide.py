"""The code of the guides to statistics and monitoring runs."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "n_blocks", "said"),
    [
        ("statistics.md", 2, ("a − b = 0.0", "interquartile mean of a", "30 scenarios show a difference", "ruin: ")),
        ("monitoring.md", 2, ("a False", "b True PSI", "c True 0.2 % of the values are missing", "b True")),
    ],
)
def test_every_block_of_the_guide_runs(name, n_blocks, said, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert len(blocks) == n_blocks
    for block in blocks:
        exec(block, {"__name__": "guide"})
    out = capsys.readouterr().out
    for text in said:
        assert text in out
