"""Focal loss: γ = 0 is the cross entropy, and both derivatives are autograd's."""

import numpy as np
import pytest
import torch

from regimegym.supervised.focal import focal_gradient, focal_hessian, focal_loss

Z = np.linspace(-6, 6, 41)


@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_both_derivatives_are_those_of_autograd(y, alpha, gamma):
    z = torch.tensor(Z, requires_grad=True)
    s = 2 * y - 1
    a = 1.0 if alpha is None else alpha if y else 1 - alpha
    loss = -a * torch.sigmoid(-s * z) ** gamma * torch.nn.functional.logsigmoid(s * z)
    (first,) = torch.autograd.grad(loss.sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), z)
    labels = np.full(41, y)
    np.testing.assert_allclose(focal_loss(Z, labels, gamma, alpha), loss.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(focal_gradient(Z, labels, gamma, alpha), first.detach(), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(focal_hessian(Z, labels, gamma, alpha), second, rtol=1e-9, atol=1e-12)


def test_without_gamma_and_alpha_it_is_the_cross_entropy():
    y = np.arange(41) % 2.0
    expected = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(Z), torch.tensor(y), reduction="none")
    np.testing.assert_allclose(focal_loss(Z, y, 0.0, None), expected, rtol=1e-12)


def test_the_second_derivative_is_negative_on_part_of_the_range():
    assert (focal_hessian(Z, np.ones(41), 2.0, 0.25) < 0).sum() == 11


def test_far_logits_stay_finite():
    far = np.array([-800.0, 800.0])
    for function in (focal_loss, focal_gradient, focal_hessian):
        for y in (0.0, 1.0):
            assert np.isfinite(function(far, np.full(2, y), 0.5, 0.25)).all()
