"""Whether a module from elsewhere can be sampled from, and if not, why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from makemore.errors import ExportError
from torch import Tensor, nn

from makemore_export.models.foreign import ForeignModel, SequenceModel, StepModel
from makemore_export.packing.verification import batches

T = TypeVar("T")

_TOLERANCE = 1e-4  # of the largest logit, or of 1: sums in another order round otherwise


@torch.inference_mode()
def check_module(model: ForeignModel, as_given: ForeignModel, reference: nn.Module | None) -> None:
    """`ExportError` says what keeps `model`, in eval mode, from being exported.

    as_given: the same with the module in the mode that it came in. reference: a module that sees
    whole strings, in the module's own ids.
    """
    vocab_size = model.our_size
    compared = batches(model, vocab_size)
    generator = torch.Generator().manual_seed(0)

    def tokens(rows: int, positions: int) -> Tensor:
        drawn = torch.randint(vocab_size, (rows, positions), generator=generator)
        return drawn.index_fill_(1, torch.tensor([0]), 0)

    few = tokens(*compared[1])
    if isinstance(model, StepModel):
        _check_states(model, few)
    _check_width(model, few)
    if not torch.equal(*(_run(as_given, few).nan_to_num() for _ in range(2))):
        raise ExportError(
            "the same tokens give other logits each time: dropout is on, or it draws random "
            "numbers; call eval() first"
        )
    for rows, positions in compared:
        batch = tokens(rows, positions)
        logits = _run(model, batch)
        _check_logits(logits, (rows, positions, vocab_size))
        alone = _run(model, batch[-1:])
        _compare(alone, logits[-1:], "logits of a row depend on the other rows of its batch")
        if isinstance(model, SequenceModel) and positions > 1:
            _check_causal(model, batch, logits)
        if reference is not None:
            expected = model.our_logits(_attempt(reference, model.own_ids(batch), rows))
            _compare(logits, expected, "logits are not those of the reference")


def _check_width(model: ForeignModel, tokens: Tensor) -> None:
    widths = []

    def note(_: nn.Module, __: object, result: object) -> None:
        logits = result[0] if isinstance(result, list | tuple) and result else result
        if isinstance(logits, Tensor) and logits.dim() > 0:
            widths.append(logits.shape[-1])

    hook = model.module.register_forward_hook(note)
    try:
        _run(model, tokens)
    except ExportError:
        if not widths or widths[0] == model.own_size:
            raise
    finally:
        hook.remove()
    if widths and widths[0] != model.own_size:
        raise ExportError(
            f"it has another vocabulary: it gives {widths[0]} logits, and tokens has "
            f"{model.own_size} ids, the start and stop counted"
        )


def _check_states(model: StepModel, tokens: Tensor) -> None:
    specs = model.states()
    state = [torch.zeros(len(tokens), *s.shape, dtype=getattr(torch, s.dtype)) for s in specs]
    token = tokens[:, 0]
    following = _attempt(
        lambda first: model.step(first, torch.zeros_like(first), *state)[1:], token, len(tokens)
    )
    if len(following) != len(specs):
        raise ExportError(
            f"forward returns {len(following)} states beside the logits; {len(specs)} are declared"
        )
    for spec, before, after in zip(specs, state, following, strict=True):
        if after.shape != before.shape or after.dtype != before.dtype:
            raise ExportError(
                f"state {spec.name!r} is {after.dtype} {list(after.shape[1:])} after a step; "
                f"{before.dtype} {list(before.shape[1:])} is declared"
            )


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _run(model: ForeignModel, tokens: Tensor) -> Tensor:
    logits: Tensor = _attempt(model, tokens, len(tokens))
    return logits


def _attempt(call: Callable[[Tensor], T], tokens: Tensor, rows: int) -> T:
    try:
        return call(tokens)
    except ExportError:
        raise
    except IndexError as error:
        raise ExportError(
            f"it does not know all tokens, whose ids reach {int(tokens.max())}, or all positions: "
            f"{error}"
        ) from None
    except Exception as error:  # the module is anybody's
        reason = f"{type(error).__name__}: {_first(error)}"
        raise ExportError(f"its forward fails on a batch of {rows}: {reason}") from None


def _check_logits(logits: Tensor, shape: tuple[int, int, int]) -> None:
    if logits.shape != shape:
        raise ExportError(f"logits are {list(logits.shape)}; {list(shape)} is needed")
    bad = logits.isnan() | (logits == torch.inf)
    if bad.any():
        _, position, token = bad.nonzero()[0].tolist()
        raise ExportError(
            f"logit {token} at position {position} is {float(logits[bad][0])}; it must be a "
            "number, or -inf"
        )


def _check_causal(model: SequenceModel, tokens: Tensor, logits: Tensor) -> None:
    for position in {0, tokens.shape[1] // 2, tokens.shape[1] - 2}:
        other = tokens.clone()
        later = other[:, position + 1 :]
        other[:, position + 1 :] = (later + 1) % model.our_size
        again = _run(model, other)[:, : position + 1]
        what = f"it is not causal: logits up to position {position} depend on later tokens"
        _compare(again, logits[:, : position + 1], what)


def _compare(found: Tensor, wanted: Tensor, what: str) -> None:
    if found.shape != wanted.shape:
        raise ExportError(f"{what}: they are {list(found.shape)}, not {list(wanted.shape)}")
    apart = torch.where(found == wanted, 0.0, (found - wanted).abs()).nan_to_num(nan=torch.inf)
    finite = wanted[wanted.isfinite()]
    limit = _TOLERANCE * max(1.0, float(finite.abs().max()) if len(finite) else 1.0)
    if not float(apart.max()) <= limit:
        row, position, token = (apart == apart.max()).nonzero()[0].tolist()
        raise ExportError(
            f"{what}: logit {token} at position {position} of row {row} of {len(found)} is off by "
            f"{float(apart.max()):g}; the limit is {limit:g}"
        )
