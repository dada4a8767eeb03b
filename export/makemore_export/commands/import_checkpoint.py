"""From a checkpoint of another program to an artifact."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click
from makemore.artifact import LENGTH_LIMIT, Artifact, OriginInfo
from makemore.errors import ExportError, OptionError
from makemore.reading.decoding import decode
from makemore.source import sha256_of
from makemore.token_vocabulary import new_vocabulary

from makemore_export.commands.export_options import ExportOptions, ImportOptions
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.text import Content, Text, text_of
from makemore_export.evaluation.likelihood import finite_or_none, mean_nll
from makemore_export.importers import Given, Imported, format_of, read_model, read_tensors
from makemore_export.models import Model
from makemore_export.models.foreign import ForeignModel
from makemore_export.packing.model_card import Report
from makemore_export.packing.module_check import check_module
from makemore_export.packing.module_export import describe_import, pack_import
from makemore_export.packing.precision import in_precision


class ImportedArtifact(NamedTuple):
    """What was written; `lines`: how many the text has, 0 without one."""

    report: Report
    artifact: Artifact
    lines: int


def import_checkpoint(
    source: Path, out: Path, options: ImportOptions, asked: ExportOptions
) -> ImportedArtifact:
    """Reads a checkpoint and writes its artifact to `out`, whose lock the caller holds.

    With a text, which then has to be one that the model can score, its loss is told, and the
    fingerprints of its lines are stored.
    """
    content = options.text
    text = None if content is None else text_of(content, options.reading)
    file = read_tensors(source)
    name = format_of(file, options.format)
    given = Given(
        tokens=options.tokens,
        lines=None if text is None else text.lines,
        whole=None if content is None else _whole(content, options.reading.encoding),
        n_head=options.n_head,
        names=options.names,
        header=file.header,
    )
    imported = read_model(file, name, given)
    model = imported.model
    if asked.precision != "float32" and isinstance(model, ForeignModel):
        option = "--half" if asked.precision == "float16" else "--int8"
        raise OptionError(f"{option} is not for a {imported.name} of {name}: its step is float32")
    lengths = _encoded(imported, text)
    longest = None
    if model.block_size is None and lengths:
        longest = min(max(lengths.values()), LENGTH_LIMIT)
    exported = in_precision(model, asked.precision)
    artifact = describe_import(
        exported,
        imported.ids.texts,
        name=imported.name,
        config=imported.config,
        origin=OriginInfo(format=name, name=_shown(source), sha256=sha256_of(file.file)),
        level=imported.level,
        max_length=longest,
    )
    if isinstance(model, ForeignModel):
        try:
            check_module(model, model, None)
        except ExportError as error:
            raise ExportError(f"{source}: {error}") from None
    fits = {line for line, length in lengths.items() if length <= artifact.max_length}
    lines = [] if text is None else [line for line in text.lines if line in fits]
    click.echo("exporting and verifying ...", err=True)
    facts = _facts(imported, exported, artifact, text, lines)
    prints = lines if asked.fingerprints else None
    report = pack_import(
        exported,
        artifact,
        out,
        reference=model if asked.precision == "float16" else None,
        lines=lines or None,
        prints=prints,
        facts=facts,
        torchscript=asked.torchscript,
        page=asked.page,
    )
    return ImportedArtifact(report, artifact, len(lines))


def _whole(content: Content, encoding: str) -> str:
    """A text as Python reads it: every line ends in one character."""
    text = decode(content.name, bytes(content.raw), encoding).text
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _shown(source: Path) -> str:
    return source.resolve().name.encode(errors="backslashreplace").decode()


def _encoded(imported: Imported, text: Text | None) -> dict[str, int]:
    """The lines that have only tokens of the model, and how many."""
    if text is None:
        return {}
    vocabulary = new_vocabulary(imported.level, imported.ids.texts)
    lengths = {}
    for line in text.lines:
        with suppress(OptionError):
            lengths[line] = len(vocabulary.encode(line))
    return lengths


def _facts(
    imported: Imported, exported: Model, artifact: Artifact, text: Text | None, lines: list[str]
) -> dict[str, object]:
    """What the report tells of the model on a text; exported: it, or it in another precision."""
    if text is None or not lines:
        return {"notes": imported.notes}
    strings = EncodedStrings(lines, artifact.vocabulary)
    left_out = len(text.lines) - len(lines)
    note = (
        f"{left_out:,} of the {len(text.lines):,} lines of {text.name} are not in the loss: they "
        "are too long for the model, or have characters that it does not know."
    )
    facts: dict[str, object] = {
        "losses": {text.name: finite_or_none(mean_nll(imported.model, strings))},
        "notes": (*imported.notes, note) if left_out else imported.notes,
    }
    if exported is not imported.model:
        loss = finite_or_none(mean_nll(exported, strings))
        facts[f"{exported.precision}_losses"] = {text.name: loss}
    return facts
