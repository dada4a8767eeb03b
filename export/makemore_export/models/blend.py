"""A mixture of models: a weighted mean of their probabilities."""

from __future__ import annotations

from functools import reduce
from typing import cast

import torch
from makemore.artifact import StateSpec
from msgspec.structs import replace
from torch import Tensor, nn

from makemore_export.configs.blend import BlendConfig
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.models.model import Model
from makemore_export.models.registry import new_model


class Blend(Model):
    """P(b | a) = sum over k of w_k P_k(b | a), the weights chosen on the dev split.

    Linear interpolation: Jelinek & Mercer, "Interpolated estimation of Markov source parameters
    from sparse data" (1980).
    """

    Config = BlendConfig
    weights: Tensor

    def __init__(self, config: BlendConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        components = [new_model(spec.model, spec.config, vocab_size) for spec in config.parts]
        self.parts = nn.ModuleList(components)
        sizes = [each.block_size for each in components if each.block_size is not None]
        self.block_size = min(sizes, default=None)
        self.register_buffer("weights", torch.full((len(components),), 1 / len(components)))

    def components(self) -> list[Model]:
        return [cast("Model", component) for component in self.parts]

    def fold(self) -> None:
        for component in self.components():
            component.fold()

    def forward(self, tokens: Tensor) -> Tensor:
        return self._mixed([component(tokens) for component in self.components()])

    def fault(self) -> str | None:
        faults = ((i, component.fault()) for i, component in enumerate(self.components()))
        return next((f"parts.{i}.{fault}" for i, fault in faults if fault), None)

    def expected_bytes(self, train: EncodedStrings) -> int:
        return sum(component.expected_bytes(train) for component in self.components())

    def states(self) -> tuple[StateSpec, ...]:
        return tuple(
            replace(spec, name=f"part{i}_{spec.name}")
            for i, component in enumerate(self.components())
            for spec in component.states()
        )

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, following, begin = [], [], 0
        for component in self.components():
            end = begin + len(component.states())
            own_logits, *own_state = component.step(token, position, *state[begin:end])
            logits.append(own_logits)
            following += own_state
            begin = end
        return (self._mixed(logits), *following)

    def _mixed(self, logits: list[Tensor]) -> Tensor:
        """Log-probabilities (..., V), float32, of the mixture; logits of each component (..., V).

        In float16 what is less likely than 6e-8 would be impossible.
        """
        weighed = (self.weights[i] * x.float().softmax(-1) for i, x in enumerate(logits))
        mixed: Tensor = reduce(torch.add, weighed)
        return mixed.log()


def mixture_weights(log_probs: Tensor) -> Tensor:
    """The weights (K,), summing to 1, under which a mixture of K models predicts best.

    log_probs: float64 (K, N), what each model gave to each of N tokens; tokens that none expected
      are left out. Expectation-maximisation (Dempster, Laird & Rubin, 1977, section 4.3, with the
      components fixed): the likelihood is concave in the weights, so it ends at the best ones, here
      when no weight moves by 1e-6.
    """
    highest = log_probs.amax(0)
    expected = highest > -torch.inf
    probs = (log_probs - highest)[
        :, expected
    ].exp()  # (K, N), up to a factor for each token, which changes no weight
    weights = torch.full_like(probs[:, 0], 1 / len(probs))
    while True:
        shares = weights[:, None] * probs
        updated = (shares / shares.sum(0)).mean(1)
        if (updated - weights).abs().max() < 1e-6:
            return updated
        weights = updated
