"""The guide's code runs, from the first block to the last."""

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "environments.md"


def test_every_block_of_the_guide_runs_where_the_one_before_it_ended(capsys):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    exec("\n".join(blocks), {"__name__": "guide"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[1] == "1h"
    assert lines[1] == "4000"
    assert "fees" in lines[2]
    assert lines[3:] == ["True True", "(8, 2)"]
