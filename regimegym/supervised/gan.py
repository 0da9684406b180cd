"""A small generative adversarial network of stretches of rows, and the gate its rows must pass."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from regimegym.supervised.lesson import Lesson

if TYPE_CHECKING:
    from regimegym.supervised.augmentation import AugmentationSettings

LOG = logging.getLogger(__name__)
WIDTH = 128
BATCH = 64
CONSTANT = 1e-12


def gan_rows(
    lesson: Lesson, rows: np.ndarray, settings: "AugmentationSettings", generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of `n_samples` rows in stretches, or of none where they are too far from the real ones.

    How far is told either way.
    """
    labels = (
        np.eye(len(lesson.classes))[lesson.labels[rows].astype(int)] if lesson.classes else lesson.labels[rows, None]
    )
    real = np.hstack([lesson.features[rows], labels])
    mean, sd = real.mean(axis=0), real.std(axis=0)
    scale = np.where(sd > CONSTANT * np.maximum(1.0, np.abs(mean)), sd, 1.0)
    size = min(settings.block_size, len(real))
    stretches = np.lib.stride_tricks.sliding_window_view((real - mean) / scale, size, axis=0).transpose(0, 2, 1)
    made = trained_stretches(np.ascontiguousarray(stretches), settings, generator)
    distance = statistics_distance(stretches, made)
    n_features = len(lesson.names)
    if distance > settings.largest_distance:
        LOG.warning(
            "the GAN's rows are %.2f deviations from the real ones, more than %.2f: none is used",
            distance,
            settings.largest_distance,
        )
        return np.empty((0, n_features)), np.empty(0)
    LOG.info("the GAN's rows are %.2f deviations from the real ones", distance)
    flat = made.reshape(-1, real.shape[1])[: settings.n_samples] * scale + mean
    told = flat[:, n_features:]
    return flat[:, :n_features], (told.argmax(axis=1).astype(np.float64) if lesson.classes else told[:, 0])


def trained_stretches(
    stretches: np.ndarray, settings: "AugmentationSettings", generator: np.random.Generator
) -> np.ndarray:
    """(K, L, D) stretches like the standardised real ones (n, L, D), K·L ≥ n_samples (Goodfellow et al. 2014)."""
    import torch
    from torch import nn

    from regimegym.common.torch_stream import TorchStream

    _, length, width = stretches.shape
    count = -(-settings.n_samples // length)
    real = torch.from_numpy(stretches.reshape(len(stretches), -1).astype(np.float32))
    stream = TorchStream(int(generator.integers(2**31)), torch.device("cpu"))
    with stream.use():
        maker = _network(settings.latent, length * width)
        judge = _network(length * width, 1)
        makers = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.5, 0.999))
        judges = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
        sure = nn.BCEWithLogitsLoss()
        for _ in range(settings.epochs):
            batch = real[torch.randint(len(real), (BATCH,))]
            fake = maker(torch.randn(BATCH, settings.latent))
            judges.zero_grad()
            told = judge(torch.cat([batch, fake.detach()]))[:, 0]
            sure(told, torch.cat([torch.full((BATCH,), 0.9), torch.zeros(BATCH)])).backward()
            judges.step()
            makers.zero_grad()
            sure(judge(fake)[:, 0], torch.ones(BATCH)).backward()
            makers.step()
        with torch.no_grad():
            made = maker(torch.randn(count, settings.latent))
    return made.double().numpy().reshape(count, length, width)


def _network(inputs: int, outputs: int):  # type: ignore[no-untyped-def]  # torch is imported where it is used
    from torch import nn

    return nn.Sequential(
        nn.Linear(inputs, WIDTH),
        nn.LeakyReLU(0.2),
        nn.Linear(WIDTH, WIDTH),
        nn.LeakyReLU(0.2),
        nn.Linear(WIDTH, outputs),
    )


def statistics_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Largest distance over columns of mean, deviation and lag-one autocorrelation of stretches (n, L, D)."""
    return float(np.abs(_statistics(real) - _statistics(made)).max())


def _statistics(stretches: np.ndarray) -> np.ndarray:
    """(3, D) mean, deviation, and correlation of neighbours within a stretch (0 for stretches of one row)."""
    flat = stretches.reshape(-1, stretches.shape[2])
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    centred = stretches - mean
    if stretches.shape[1] < 2:
        return np.array([mean, sd, np.zeros_like(mean)])
    product = (centred[:, 1:] * centred[:, :-1]).mean(axis=(0, 1))
    return np.array([mean, sd, product / np.maximum(sd**2, CONSTANT)])
