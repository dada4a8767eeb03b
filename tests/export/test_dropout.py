"""Dropout draws its own coins on a CPU."""

from __future__ import annotations

import pytest
import torch
from makemore_export.models.dropout import Dropout
from scipy.stats import binomtest, chisquare


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
def test_a_share_p_is_dropped_and_the_rest_scaled(p):
    torch.manual_seed(1)
    y = Dropout(p)(torch.full((100, 7, 143), 3.0))
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 3 / (1 - p)), rtol=1e-4, atol=0)
    assert binomtest(len(kept), y.numel(), 1 - p).pvalue > 1e-3


def test_the_four_coins_of_a_draw_are_independent():
    torch.manual_seed(1)
    dropped = (Dropout(0.5)(torch.ones(100_000, 4)) == 0).long()
    kinds = (dropped * torch.tensor([1, 2, 4, 8])).sum(1)
    assert chisquare(torch.bincount(kinds, minlength=16)).pvalue > 1e-3


def test_gradients_pass_where_values_did():
    torch.manual_seed(1)
    x = torch.ones(3, 5, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_draws_follow_the_seed():
    def drawn(seed):
        torch.manual_seed(seed)
        return Dropout(0.5)(torch.ones(64))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped_where_none_is_asked_for(p, training):
    x = torch.randn(3, 5)
    assert torch.equal(Dropout(p).train(training)(x), x)


def test_a_share_next_to_one_is_no_division_by_zero():
    torch.manual_seed(1)
    assert torch.isfinite(Dropout(0.9999999)(torch.ones(1000))).all()
