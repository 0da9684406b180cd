"""Settings of the networks: which encoder, and how wide."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_choice, check_flag, check_number

ENCODER_KINDS = ("regime", "mlp")


@dataclass(frozen=True)
class NetworkSettings:
    """Widths of one network; the defaults are the `small` network, `full` doubles them.

    Attributes:
        kind: `regime` is the network of DEFINITIONS §9 (attention, detector, four pathways, LSTM);
            `mlp` reads the flattened window and costs a tenth of it.
        feature_width: width after the feature layer and inside attention; width of the `mlp`.
        pathway_width: width of each of the four regime pathways (`regime` only).
        memory_width: width of h, the encoding of one bar.
        detector_width: hidden width of the regime detector.
        head_width: hidden width of the advantage and value heads.
        lstm_layers: layers of the memory (`regime` only).
        dropout: share of features and of h that is dropped while learning.
        positions: adds sinusoidal positions, counted back from the window's last bar (`regime` only).
        residual: adds the features to the output of attention (`regime` only).
        noisy: the heads explore by noisy weights (networks.noisy), beside or instead of ε.
    """

    kind: str = "regime"
    feature_width: int = 64
    pathway_width: int = 32
    memory_width: int = 32
    detector_width: int = 32
    head_width: int = 16
    lstm_layers: int = 2
    dropout: float = 0.2
    positions: bool = True
    residual: bool = True
    noisy: bool = False

    def __post_init__(self) -> None:
        check_choice("network.kind", self.kind, ENCODER_KINDS)
        for name in ("feature_width", "pathway_width", "memory_width", "detector_width", "head_width"):
            check_at_least(f"network.{name}", getattr(self, name), 1)
        check_at_least("network.lstm_layers", self.lstm_layers, 1)
        for name in ("positions", "residual", "noisy"):
            check_flag(f"network.{name}", getattr(self, name))
        check_number("network.dropout", self.dropout, "in [0, 1)", lambda v: 0 <= v < 1)
        check_number("network.feature_width", self.feature_width, "even (positions)", lambda v: v % 2 == 0)
