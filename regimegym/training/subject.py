"""A trained run opened again: its model, its data or other data, and the rows it is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from omegaconf import DictConfig

from regimegym.agents.build import KINDS
from regimegym.agents.card import ModelCard
from regimegym.agents.checkpoint import load_policy
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.baselines import RuleSettings, fit_rules
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.trader import Trader
from regimegym.features.market import Market, align_features, build_tape
from regimegym.features.scaling import Scaler
from regimegym.features.segments import longest_stretch
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape
from regimegym.training.experiment import build_market, split_market
from regimegym.training.model_at_work import load_predictors
from regimegym.training.run_folder import RunFolder
from regimegym.training.same_data import check_same_data, warn_of_other_bars
from regimegym.training.wiring import build, read_run_config, trusted_names


@dataclass(frozen=True, eq=False)
class Subject:
    """A run and the rows that it is judged on.

    Attributes:
        config: the run's own. market, tape: the data, as the model sees it.
        trader: its model, ready for other bars.
        rows: that are judged; part: `test`, `validation` or `new`.
        spans: rows of train, validation and test; empty on new data.
    """

    run: RunFolder
    config: DictConfig
    card: ModelCard
    trader: Trader
    market: Market
    tape: MarketTape
    rows: RowRange
    part: str
    spans: Mapping[str, RowRange]

    @property
    def settings(self) -> EnvSettings:
        """Of the environment."""
        return self.trader.settings

    @property
    def label(self) -> str:
        """Name of the agent for people."""
        return KINDS.get(self.card.algorithm).algorithm.__name__

    def rules(self, evaluation: EvaluationSettings) -> RuleSettings | None:
        """The rules fitted on the training rows; None on new data."""
        if "train" not in self.spans:
            return None
        return fit_rules(self.tape, self.settings, self.spans["train"], evaluation.cross)


def open_subject(name: str, config: DictConfig) -> Subject:
    """The run `name` on what `config` says: its own data and part, or other data.

    Raises:
        RegimeGymError: no run, a damaged one, other data or features.
    """
    run = RunFolder.open(name)
    run_config = read_run_config(run.config, trusted_names(config.trust))
    policy, card = load_policy(run.model, with_layers=False)
    predictors = load_predictors(run.model)
    is_new = config.get("data") is not None
    if is_new:  # what the model sees is what it was trained on, whatever else this data could give
        names = card.feature_names if predictors is None else predictors.inputs
        market = build_market(_with_data(run_config, config), card.regime_rule(), names)
        warn_of_other_bars(run, market.bars)
    else:
        market = build_market(run_config, card.regime_rule())
    settings: EnvSettings = build(run_config.env)
    if not is_new:
        check_same_data(run, market, _other_data(run))
    plain_market, market = market, market if predictors is None else predictors.join(market)
    market = replace(market, table=align_features(card.feature_names, market.table))
    # Without its layers a model is still behind its gate: leaving them out lets nothing through.
    trader = Trader(policy, card, settings, config.with_layers, str(run.model), predictors)
    tape = build_tape(market, Scaler.from_dict(card.scaler))
    if is_new:
        rows, spans = longest_stretch(RowRange(0, len(tape)), market.table.pieces, "evaluation"), {}
    else:
        spans = split_market(run_config, plain_market, settings)._asdict()
        rows = spans[config.part]
    return Subject(run, run_config, card, trader, market, tape, rows, "new" if is_new else config.part, spans)


def _with_data(run_config: DictConfig, config: DictConfig) -> DictConfig:
    """The run's configuration on other data, named by the user on the command line."""
    other = run_config.copy()
    other.data = config.data
    # What stood beside the run's own data says nothing about other data.
    other.context = config.get("context")
    return other


def _other_data(run: RunFolder) -> tuple[str, ...]:
    return ("to evaluate on other data, name it:", f"regime-gym evaluate run={run.path} data=file data.path=FILE")
