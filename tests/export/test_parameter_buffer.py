"""Weights laid end to end."""

from __future__ import annotations

import torch
from makemore_export.training.parameter_buffer import flatten
from torch import nn


def weights():
    torch.manual_seed(1)
    return dict(nn.Linear(3, 2).named_parameters())


def test_weights_and_gradients_become_views():
    named = weights()
    before = {name: weight.detach().clone() for name, weight in named.items()}
    (flat,) = flatten(named)
    for name, weight in named.items():
        assert torch.equal(weight, before[name])
    flat.tensor += 1
    (named["weight"].sum() + 2 * named["bias"].sum()).backward()
    for name, weight in named.items():
        assert torch.equal(weight, before[name] + 1)
    assert flat.tensor.grad.tolist() == [1.0] * 6 + [2.0] * 2


def test_views_are_undone_by_join():
    (flat,) = flatten(weights())
    values = torch.arange(8.0)
    views = flat.views(values)
    assert views["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(flat.join(views), values)
    assert flat.join(flat.views(torch.tensor(5.0))) == 5


def test_weights_that_are_not_on_the_cpu_are_left_alone():
    named = {name: nn.Parameter(weight.to("meta")) for name, weight in weights().items()}
    flats = flatten(named)
    assert [flat.tensor for flat in flats] == list(named.values())
    assert flats[0].views(flats[0].tensor)["weight"].shape == (2, 3)


def test_nothing_can_be_laid_flat():
    assert flatten({}) == []
