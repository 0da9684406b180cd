"""The code of docs/features.md runs as it stands there."""

import re
from pathlib import Path

import numpy as np

from regimegym.features.feature import FEATURES

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_examples_run_in_their_order(monkeypatch, capsys):
    monkeypatch.setattr(FEATURES, "_parts", dict(FEATURES._parts))
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    table = names["market"].table
    assert table.names == ("rsi", "close_in_range")
    np.testing.assert_allclose(names["streamed"].values, table.values[-1], rtol=1e-9)
    assert names["scaled"].shape == (2,)
    assert f"# {capsys.readouterr().out.strip()}" in GUIDE.read_text()
