"""The guide's example runs as it stands there and prints what stands there."""

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "backtest.md"


def test_the_example_of_the_guide_prints_what_the_guide_says(capsys):
    text = GUIDE.read_text()
    (program,), (expected,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "text"))
    exec(compile(program, str(GUIDE), "exec"), {})
    assert capsys.readouterr().out == expected
