"""regime-gym data check: does a file keep the data contract?"""

from pathlib import Path

from regimegym.cli.arguments import Parser


def run(words: list[str]) -> None:
    """Load each file as `data=file` does and say what it holds.

    Raises:
        DataError: a file breaks the data contract.
    """
    parser = Parser("data check", __doc__.partition(": ")[2])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV or Parquet")
    options = parser.parse_args(words)
    from regimegym.features.loading import load_bars

    for file in options.files:
        bars = load_bars(file)
        print(f"{file}: {len(bars):,} bars of {bars.symbol}")
