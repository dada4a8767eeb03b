"""`tokenizer.json` of Hugging Face's tokenizers, where tokens are the texts they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from makemore.errors import CheckpointError, OptionError

from makemore_export.importers.tensor_file import read_json

_MODELS = ("WordLevel", "BPE")
_NORMALIZERS = ("Lowercase", "NFC", "NFD", "NFKC", "NFKD")
_SPLITS = ("Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
"""How a pre-tokenizer cuts without taking anything away."""


def read_tokens(folder: Path, vocab_size: int) -> list[str | None]:
    """The texts of the ids of a folder's tokenizer, None for special ones and for ids without a
    token.

    `OptionError` for a tokenizer whose tokens are no texts, such as one that joins pieces, marks
    them, or takes away white space; `CheckpointError` for a file that is none.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise OptionError(
            f"{file}: is not there; give --tokens, a list of the texts of all ids, null for one "
            "without a text"
        )
    tokenizer = read_json(file)
    try:
        if reason := _unreadable(tokenizer):
            raise OptionError(
                f"{file}: {reason}; only tokenizers of whole tokens are read. --tokens takes a "
                "list of the texts of all ids, null for one without a text"
            )
        return _texts(tokenizer, vocab_size)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise CheckpointError(
            f"{file}: not a tokenizer of {vocab_size} ids: {error!r:.200}"
        ) from None


def _texts(tokenizer: Mapping[str, Any], vocab_size: int) -> list[str | None]:
    model, added = tokenizer["model"], tokenizer.get("added_tokens") or []
    special = {each["content"] for each in added if each.get("special")}
    numbers = dict(model["vocab"])
    numbers |= {each["content"]: each["id"] for each in added if "id" in each}
    found: list[str | None] = [None] * vocab_size
    for text, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < vocab_size:
            raise ValueError(f"id {number!r:.40} of token {text!r:.40}")
        known = text and text not in special and text != model.get("unk_token")
        found[number] = text if known else None
    return found


def _unreadable(tokenizer: Mapping[str, Any]) -> str | None:
    """Why the tokens are not the texts that they stand for; None where they are."""
    model = tokenizer["model"]
    kind = model.get("type")
    if kind not in _MODELS:
        return f"is a tokenizer {kind!r:.60}"
    if model.get("merges"):
        return "is a byte-pair tokenizer, which cuts by merges, and an artifact has none"
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(name):
            return f"has a {name}, which is no part of the text"
    checks: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "normalizer": lambda each: each["type"] in _NORMALIZERS,
        "pre_tokenizer": lambda each: each["type"] == "Split" and each["behavior"] in _SPLITS,
        "decoder": lambda each: each["type"] == "Fuse",
    }
    for name, keeps in checks.items():
        for part in _parts(tokenizer.get(name), f"{name.replace('_', '')}s"):
            if not keeps(part):
                return f"has a {name} {part['type']!r:.60}, which changes the text"
    return None


def _parts(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """A part alone, or those of a sequence of parts."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return list(part[inner])
