"""Where the network that acts looks: attention between the bars of a window."""

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy

from regimegym.agents.networks.encoder import Encoder


@torch.no_grad()
def mean_attention(policy: BasePolicy, windows: np.ndarray) -> np.ndarray | None:
    """Attention (T, T) from each bar (row) to the bars before it, mean over the windows and the experts.

    Args:
        policy: of any agent; its mode of training is left as it was.
        windows: (N, T, F) float32.

    Returns:
        float64, rows sum to 1; None where nothing attends.
    """
    acting = getattr(policy, "acting", policy)
    encoders = [module for module in acting.modules() if isinstance(module, Encoder)]
    if acting is policy:
        encoders = encoders[:1]  # of target networks, and critics of their own, the first acts
    was_training = policy.training
    policy.set_training_mode(False)
    seen = [encoder(torch.from_numpy(windows).to(policy.device)).attention for encoder in encoders]
    policy.set_training_mode(was_training)
    found = [weights.double().mean(dim=0) for weights in seen if weights is not None]
    return torch.stack(found).mean(dim=0).cpu().numpy() if found else None
