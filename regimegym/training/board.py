"""TensorBoard of one run: scalars in groups, a custom layout, histograms, figures, hyper-parameters.

Everything goes into one event file, hyper-parameters too, so that a run is one line in the list of
runs. A tag begins with its group, one of GROUPS; `final/…` are the results beside hyper-parameters.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from regimegym.training.figure import equity_figure
from regimegym.training.replay_scalars import REPLAY_CHARTS

GROUPS = ("train", "env", "regime", "replay", "curriculum", "time", "eval")
AGENT = "agent"
REGIME_TAGS = ("regime/uptrend", "regime/downtrend", "regime/plateau", "regime/oscillating")
MARGIN_TAGS = ("eval/log_return", "eval/log_return_low", "eval/log_return_high")
SHOWN = ("total_return", "sharpe_ratio", "max_drawdown", "trades", "turnover", "mean_exposure")
BASELINES = ("buy_and_hold", "flat", "random", "ma_cross")


TRAINING_CHARTS = {
    "agent against buy and hold, training episodes": ["Multiline", ["env/equity_return$", "env/buy_hold_return$"]],
    "shaped reward per episode": ["Multiline", ["env/reward_shaped$"]],
    "exposure": ["Multiline", ["env/exposure$", "eval/mean_exposure$"]],
    "loss": ["Multiline", ["train/loss$"]],
}
CURRICULUM_CHARTS = {
    "stage": ["Multiline", ["curriculum/stage$"]],
    "cost rate and noise level": ["Multiline", ["curriculum/cost_rate$", "curriculum/noise_level$"]],
    "difficulty of the episodes": ["Multiline", ["curriculum/difficulty$"]],
}
TIME_CHARTS = {
    "share of the time": ["Multiline", ["time/share_env$", "time/share_learn$", "time/share_validate$"]],
    "steps per second": ["Multiline", ["time/steps_per_second$"]],
}


class Board:
    """Writer of the event files in `folder`; events from `purge_step` on, of a process that was killed, are dropped."""

    def __init__(self, folder: str | Path, purge_step: int | None = None) -> None:
        self._writer = SummaryWriter(str(folder), flush_secs=10, purge_step=purge_step)

    def layout(self, *, curriculum: bool = False, replay: bool = False) -> None:
        """Write the custom charts; once per run.

        Args:
            curriculum, replay: whether the run has a curriculum, and a replay that tells of its regimes:
                a chart without data is noise.
        """
        against = [f"{MARGIN_TAGS[0]}$", *(f"{MARGIN_TAGS[0]}_{name}$" for name in BASELINES)]
        charts = {
            "validation": {
                "log return and its 95 % interval": ["Margin", list(MARGIN_TAGS)],
                "agent against baselines, log return": ["Multiline", against],
            },
            "training": TRAINING_CHARTS,
            "regimes": {"regime mix": ["Multiline", [f"{tag}$" for tag in REGIME_TAGS]]},
            **({"curriculum": CURRICULUM_CHARTS} if curriculum else {}),
            **({"replay": REPLAY_CHARTS} if replay else {}),
            "time": TIME_CHARTS,
        }
        self._writer.add_custom_scalars(charts)

    def validation(
        self,
        step: int,
        metrics: Mapping[str, Mapping[str, float]],
        interval: tuple[float, float] | None = None,
    ) -> None:
        """File one validation.

        Args:
            step: account steps trained so far.
            metrics: metrics by policy key (as `validation` in metrics.json), `agent` among them.
            interval: interval of the agent's log return; None draws no margin.
        """
        for name in SHOWN:
            self._scalar(f"eval/{name}", metrics[AGENT].get(name, math.nan), step)
        value = _log_return(metrics[AGENT])
        low, high = (value, value) if interval is None else interval
        for tag, number in zip(MARGIN_TAGS, (value, low, high), strict=True):
            self._scalar(tag, number, step)
        for policy in metrics:
            if policy != AGENT:
                self._scalar(f"{MARGIN_TAGS[0]}_{policy}", _log_return(metrics[policy]), step)
        self._writer.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """File scalars by tag; undefined ones are left out."""
        for tag, value in values.items():
            self._scalar(tag, value, step)

    def equity_image(
        self,
        step: int,
        timestamps: np.ndarray,
        equity: Mapping[str, np.ndarray],
        part: str = "validation",
        group: str = "eval",
    ) -> None:
        """Draw equity curves (n,) by policy key over `timestamps` (n,) int64 nanoseconds."""
        title = f"{part} · return after costs at step {step:,}"
        self.image(f"{group}/equity_{part}", equity_figure(timestamps, equity, title), step)

    def image(self, tag: str, figure: np.ndarray, step: int) -> None:
        """File a figure (H, W, 3) uint8."""
        self._writer.add_image(tag, figure, step, dataformats="HWC")
        self._writer.flush()

    def histogram(self, tag: str, values: np.ndarray, step: int, bins: np.ndarray | None = None) -> None:
        """File the distribution of finite values (n,), n ≥ 1, over the edges `bins`; None: as they fall."""
        self._writer.add_histogram(tag, values, step, bins="tensorflow" if bins is None else bins)

    def hyper_parameters(self, flat_config: Mapping[str, Any], final_metrics: Mapping[str, float]) -> None:
        """File the settings of the run beside its final metrics, in the same event folder.

        Args:
            flat_config: values by dotted key.
            final_metrics: by name, such as `test/sharpe_ratio`; undefined ones are left out.
        """
        values = {key: _hyper_parameter(value) for key, value in flat_config.items()}
        results = {f"final/{key}": float(v) for key, v in final_metrics.items() if math.isfinite(v)}
        for summary in hparams(values, results):
            self._writer._get_file_writer().add_summary(summary)
        for tag, value in results.items():
            self._scalar(tag, value, 0)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _scalar(self, tag: str, value: float, step: int) -> None:
        if value is not None and math.isfinite(value):
            self._writer.add_scalar(tag, float(value), step)


def _log_return(metrics: Mapping[str, float]) -> float:
    total = metrics.get("total_return", math.nan)
    return math.log1p(total) if total > -1.0 else math.nan


def _hyper_parameter(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
