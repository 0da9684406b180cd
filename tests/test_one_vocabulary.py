"""Regimes and actions are defined once; nobody counts them in an order of their own (PITFALLS T024, T057)."""

import ast
from pathlib import Path

import pytest

from regimegym.common.actions import Action
from regimegym.common.regimes import Regime

PACKAGE = Path(__file__).resolve().parents[1] / "regimegym"
DEFINED_IN = {"Action": PACKAGE / "common" / "actions.py", "Regime": PACKAGE / "common" / "regimes.py"}
WORDS = {enum: [one.name.lower() for one in sorted(enum) if one >= 0] for enum in (Action, Regime)}
MODULES = sorted(PACKAGE.rglob("*.py"))


def word_of(node: ast.AST) -> str:
    """The last name of `Regime.UPTREND`, `"uptrend"` or `UPTREND`, in lower case."""
    found = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "value", None)
    return found.lower() if isinstance(found, str) else ""


def violations(tree: ast.AST) -> list[str]:
    """Lists of three or more of the words in another order than the enum's, and numbers given to them."""
    found = []
    for node in ast.walk(tree):
        for enum, words in WORDS.items():
            parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            told = [word for part in parts if (word := word_of(part)) in words]
            if len(told) > 2 and told != sorted(told, key=words.index):
                found.append(f"line {node.lineno}: {told}")
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple):
                values = getattr(node.value, "elts", [node.value])
                names = [name for target in node.targets for name in getattr(target, "elts", [target])]
                named = [name for name in names if word_of(name) in words and isinstance(name, ast.Name)]
                if named and all(isinstance(getattr(value, "value", None), int) for value in values):
                    found.append(f"line {node.lineno}: {enum.__name__} numbered again")
    return found


def test_there_are_modules_to_check():
    assert len(MODULES) > 400
    assert WORDS[Regime] == ["uptrend", "downtrend", "plateau", "oscillating"]
    assert WORDS[Action] == ["hold", "sell", "buy"]


def test_no_module_defines_regimes_or_actions_again():
    for path in MODULES:
        if path not in DEFINED_IN.values():
            assert violations(ast.parse(path.read_text())) == [], path


@pytest.mark.parametrize(
    "source",
    [
        "NAMES = ('uptrend', 'downtrend', 'oscillating', 'plateau')",
        "{'downtrend': 1, 'uptrend': 2, 'plateau': 3}",
        "[Action.HOLD, Action.BUY, Action.SELL]",
        "UPTREND = 3",
        "HOLD, BUY = 0, 1",
    ],
)
def test_another_order_is_found(source):
    assert violations(ast.parse(source))


def test_the_same_order_and_other_words_are_left_alone():
    assert not violations(ast.parse("X = ['uptrend', 'plateau', 'oscillating', 'gap']\nUP, FLAT = 0, 1"))
