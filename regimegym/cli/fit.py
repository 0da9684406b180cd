"""`regime-gym fit`: predictors alone."""

from omegaconf import DictConfig

from regimegym.cli.application import run_application
from regimegym.common.errors import ConfigError


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym fit`."""
    run_application("fit", _task, one_predictor(words))


def one_predictor(words: list[str]) -> list[str]:
    """`predictor=NAME` as `predictors=[NAME]`, and `predictor.SETTING=…` as a setting of that one.

    Raises:
        ConfigError: `two-choices`, both `predictor` and `predictors`; `no-predictor`, a setting of nobody.
    """
    name = next((word.partition("=")[2] for word in words if word.startswith("predictor=")), None)
    several = next((word for word in words if word.startswith("predictors=")), None)
    if name is not None and several is not None:
        raise ConfigError(
            "two-choices",
            "'predictor' and 'predictors' say the same in two ways",
            found=f"predictor={name} {several}",
            help=(several,),
        )
    setting = next((word for word in words if word.lstrip("+").startswith("predictor.")), None)
    if name is None and setting is not None:
        raise ConfigError(
            "no-predictor",
            f"'{setting}' is a setting of no predictor: none was chosen",
            help=(f"predictor=xgboost {setting}", setting.replace("predictor.", "predictors.xgboost.", 1)),
        )
    return [_of(word, name) for word in words]


def _of(word: str, name: str | None) -> str:
    if word.startswith("predictor="):
        return f"predictors=[{name}]"
    signs = word[: len(word) - len(word.lstrip("+"))]
    rest = word[len(signs) :]
    return f"{signs}predictors.{name}.{rest.removeprefix('predictor.')}" if rest.startswith("predictor.") else word


def _task(config: DictConfig) -> None:
    from regimegym.cli.fit_task import run_task

    run_task(config)
