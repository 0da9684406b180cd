"""Everything can be imported where only what a training needs is installed (PITFALLS T134)."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMPORTED_AS = {
    "imbalanced-learn": "imblearn",
    "gym-anytrading": "gym_anytrading",
    "gym-trading-env": "gym_trading_env",
}
TOOLS = {"test", "dev"}  # extras that no module of ours imports

SCRIPT = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in sys.argv[1:]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import regimegym
for found in pkgutil.walk_packages(regimegym.__path__, "regimegym."):
    importlib.import_module(found.name)
"""


def declared_extras() -> dict[str, list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def extras() -> list[str]:
    """Names under which the packages of the extras are imported."""
    declared = declared_extras()
    asked = [word for extra, words in declared.items() if extra not in TOOLS for word in words]
    names = [word.split(">")[0].split("[")[0].split("<")[0].strip() for word in asked]
    return sorted({IMPORTED_AS.get(name, name) for name in names})


def test_every_module_imports_without_the_extras():
    absent = extras()
    assert {"optuna", "ray", "arch", "shap", "imblearn", "river", "plotly", "matplotlib"} <= set(absent)
    found = subprocess.run([sys.executable, "-c", SCRIPT, *absent], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]


def test_an_extra_that_a_message_or_a_page_names_exists():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "regimegym").rglob("*.py")]
    named = {
        (path.name, name)
        for path in pages
        for both in re.findall(r"regime-gym\[(\w+)\]|extra `(\w+)`", path.read_text())
        for name in both
        if name
    }
    assert len(named) > 15
    assert [(page, name) for page, name in sorted(named) if name not in declared_extras()] == []
