"""regime-gym data: look at prices before anything is trained on them."""

from importlib import import_module

from regimegym.common.errors import ConfigError, nearest_name

# Each is a module cli/data_NAME.py with `run(words)`.
COMMANDS = {
    "check": "the data contract: every violation with its row, and what else is odd",
    "download": "a market's history from an exchange or Yahoo, resumable",
    "worlds": "the synthetic worlds: the best that can be earned, and how labels recognise them",
    "audit": "does a feature, a regime, a scaler, an observation see the future?",
}

USAGE = """usage: regime-gym data COMMAND …

{commands}

  regime-gym data check prices.csv
  regime-gym data download BTC/USDT --source binance --timeframe 1h --start 2020-01-01
  regime-gym data audit data=file data.path=prices.csv
  regime-gym data audit feature=my_module.my_feature
  regime-gym data COMMAND --help
"""


def run(words: list[str]) -> None:
    """Hand the words behind the subcommand to its module.

    Raises:
        ConfigError: no or an unknown subcommand.
    """
    if words and words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return
    if not words or words[0] not in COMMANDS:
        raise ConfigError(
            "unknown-command",
            f"'data {words[0]}' is not a command" if words else "'data' needs a command",
            needed=f"one of {', '.join(COMMANDS)}",
            nearest=nearest_name(words[0], COMMANDS) if words else None,
            help=["regime-gym data --help"],
        )
    import_module(f"regimegym.cli.data_{words[0]}").run(words[1:])


def usage() -> str:
    """Text of `regime-gym data --help`."""
    return USAGE.format(commands="\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()))
