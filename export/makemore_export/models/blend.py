"""A mixture of models: what each expects, weighed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, cast

import msgspec
import torch
from makemore.artifact import StateSpec
from msgspec import Meta
from msgspec.structs import replace
from torch import Tensor, nn

from makemore_export.models.model import Model
from makemore_export.models.recipe import Recipe
from makemore_export.models.registry import MODELS, new_model


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of a blend; `recipe` is None for one that counts."""

    model: str
    config: dict[str, Any]
    recipe: Recipe | None = None


class BlendConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The components, called `parts` in options and files, are trained one after the other, each as
    it would be alone, from its own seed.
    """

    parts: Annotated[tuple[Component, ...], Meta(min_length=2)]


class Blend(Model):
    """P(b | a) = sum over k of w_k P_k(b | a), the weights chosen on the dev split.

    Linear interpolation: Jelinek & Mercer, "Interpolated estimation of Markov source parameters
    from sparse data" (1980).
    """

    Config = BlendConfig
    recipe = None
    weights: Tensor

    def __init__(self, config: BlendConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        made = [new_model(part.model, part.config, vocab_size) for part in config.parts]
        self.parts = nn.ModuleList(made)
        sizes = [part.block_size for part in made if part.block_size is not None]
        self.block_size = min(sizes, default=None)
        self.register_buffer("weights", torch.full((len(made),), 1 / len(made)))

    @classmethod
    def block_size_of(cls, config: Mapping[str, Any]) -> int | None:
        sizes = [MODELS[part["model"]].block_size_of(part["config"]) for part in config["parts"]]
        return min((size for size in sizes if size is not None), default=None)

    def models(self) -> list[Model]:
        """The parts, in order."""
        return [cast("Model", part) for part in self.parts]

    def fold(self) -> None:
        for part in self.models():
            part.fold()

    def forward(self, tokens: Tensor) -> Tensor:
        return self._mixed([part(tokens) for part in self.parts])

    def fault(self) -> str | None:
        faults = ((i, part.fault()) for i, part in enumerate(self.models()))
        return next((f"parts.{i}.{fault}" for i, fault in faults if fault), None)

    def states(self) -> tuple[StateSpec, ...]:
        return tuple(
            replace(spec, name=f"part{i}_{spec.name}")
            for i, part in enumerate(self.models())
            for spec in part.states()
        )

    def step(self, token: Tensor, position: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, following, begin = [], [], 0
        for part in self.models():
            end = begin + len(part.states())
            of_part, *after = part.step(token, position, *state[begin:end])
            logits.append(of_part)
            following += after
            begin = end
        return (self._mixed(logits), *following)

    def _mixed(self, logits: list[Tensor]) -> Tensor:
        """Log-probabilities (..., V), float32, of the mixture of the parts' logits, each (..., V).

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
    probs = (log_probs - highest)[:, expected].exp()  # (K, N); a token's common factor is no matter
    weights = torch.full_like(probs[:, 0], 1 / len(probs))
    while True:
        shares = weights[:, None] * probs
        updated = (shares / shares.sum(0)).mean(1)
        if (updated - weights).abs().max() < 1e-6:
            return updated
        weights = updated
