"""A tape, tiny networks, and every kind of agent on it."""

import pytest
from stand_in import TinyVecEnv, sine_tape

from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.settings import (
    A2CSettings,
    DQNSettings,
    EnhancedDQNSettings,
    MaskablePPOSettings,
    PPOSettings,
    QRDQNSettings,
    RecurrentPPOSettings,
)

QUICK_SETTINGS = {
    "enhanced_dqn": EnhancedDQNSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=500),
    "ensemble": EnsembleSettings(learning="sampled", learning_starts=64, batch_size=16, buffer_size=500),
    "ppo": PPOSettings(n_steps=16, batch_size=32, n_epochs=1),
    "recurrent_ppo": RecurrentPPOSettings(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=6),
    "maskable_ppo": MaskablePPOSettings(n_steps=16, batch_size=32, n_epochs=1),
    "a2c": A2CSettings(n_steps=8),
    "dqn": DQNSettings(learning_starts=64, batch_size=16, buffer_size=200),
    "qrdqn": QRDQNSettings(learning_starts=64, batch_size=16, buffer_size=200, n_quantiles=5),
}


@pytest.fixture(scope="session")
def tape():
    return sine_tape()


@pytest.fixture
def env(tape):
    return TinyVecEnv(tape)


@pytest.fixture(scope="session")
def tiny_network():
    return NetworkSettings(
        feature_width=8, pathway_width=6, memory_width=6, detector_width=6, head_width=6, lstm_layers=1
    )


@pytest.fixture(params=list(QUICK_SETTINGS))
def quick_settings(request):
    return QUICK_SETTINGS[request.param]
