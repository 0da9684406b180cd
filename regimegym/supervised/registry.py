"""Predictors by name: one's own class joins with `@register("name")` above it."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from regimegym.common.errors import ConfigError, ModelError, nearest_name
from regimegym.common.registry import Registry
from regimegym.supervised.model_folder import Card, read_folder

if TYPE_CHECKING:
    from regimegym.supervised.base import Predictor

PREDICTORS: "Registry[type[Predictor]]" = Registry("predictor")
# Importing them registers their predictors; what they need of other libraries they import where they use it.
MODULES = (
    "floors",
    "logistic",
    "sgd",
    "random_forest",
    "gradient_boosting",
    "hidden_markov",
    "lorentzian",
    "multi_target",
    "calibration",
    "sequence.predictors",
    "ensemble.ensemble",
    "prepared",
)
Class = TypeVar("Class", bound="type[Predictor]")


def register(name: str) -> Callable[[Class], Class]:
    """Decorator that files a Predictor class under `name`. Raises ValueError when the name is taken."""

    def file(kind: Class) -> Class:
        PREDICTORS.register(name)(kind)
        kind.name = name
        return kind

    return file


def list_predictors() -> list[str]:
    """All names, in the order of registration."""
    _import_ours()
    return list(PREDICTORS)


def get_predictor(name: str, settings: Any = None) -> "Predictor":
    """A new, unfitted predictor.

    Args:
        name: registered name.
        settings: its settings object, or values by name; the defaults where None.

    Raises:
        ConfigError: an unknown name or setting, with the nearest one, or a value out of its range.
    """
    _import_ours()
    kind = PREDICTORS.get(name)
    return kind(settings_of(kind, settings) if isinstance(settings, Mapping) else settings)


def predictor_of(settings: Any) -> "Predictor":
    """The predictor whose settings these are, as conf/predictor/ builds them."""
    _import_ours()
    for name in PREDICTORS:
        if type(settings) is PREDICTORS.get(name).settings_type:
            return PREDICTORS.get(name)(settings)
    raise ConfigError("unknown-predictor", f"{type(settings).__name__} is the settings of no registered predictor")


def settings_of(kind: "type[Predictor]", values: Mapping[str, Any]) -> Any:
    """The settings object with these values. Raises ConfigError for an unknown name."""
    known = [item.name for item in fields(kind.settings_type)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ConfigError(
            "unknown-setting",
            f"the predictor '{kind.name}' has no setting '{unknown[0]}'",
            needed=f"one of {', '.join(known)}" if known else "no settings",
            nearest=nearest_name(unknown[0], known),
        )
    return kind.settings_type(**values)


def load_predictor(folder: Path) -> "Predictor":
    """The predictor that was saved in `folder`; it predicts what it predicted then.

    Raises:
        ModelError: no such folder, another format, damaged or edited files, an unknown predictor.
        MachineError: the disk or its permissions refuse.
    """
    return restored(*read_folder(folder))


def restored(card: Card, files: Mapping[str, bytes]) -> "Predictor":
    """The predictor of a card and its files. Raises ModelError when they describe none."""
    _import_ours()
    if card.predictor not in PREDICTORS:
        raise ModelError(
            "unknown-predictor",
            f"the model is a '{card.predictor}', which is not registered here",
            needed=f"one of {', '.join(PREDICTORS)}",
            nearest=nearest_name(card.predictor, PREDICTORS),
            help=("import the module that registers it first",),
        )
    kind = PREDICTORS.get(card.predictor)
    try:
        predictor = kind(settings_of(kind, card.settings))
        predictor.restore(card, files)
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("damaged-predictor", f"the card does not describe a '{card.predictor}': {error}") from error
    return predictor


def _import_ours() -> None:
    for module in MODULES:
        import_module(f"regimegym.supervised.{module}")
