"""The description in an artifact's folder: `report.json` for programs, `README.md` for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from makemore.artifact import Artifact, OriginInfo, TrainingInfo
from makemore.fingerprints import stored_bytes

from makemore_export.configs.shown import shown_config
from makemore_export.evaluation.likelihood import bits, perplexity
from makemore_export.evaluation.likely_strings import LikelyString
from makemore_export.evaluation.novelty import Novelty
from makemore_export.packing.verification import Verification

_SAMPLES = 10
_PROGRAM = """ `model.ts` is a program, which PyTorch runs when it loads it:
load it only from people you trust."""
_YES_OR_NO = {True: "yes", False: "no", None: "not known"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The `report.json`. `losses` are nats per token by split, None where infinite; those of an
    unfinished run are over some of the lines, and its `novelty` is None. `label_losses` are those
    of all lines by label, which is then given, None where not measured. `float16_losses` and
    `int8_losses` are those of an artifact of that precision over whole splits, None where not
    measured. `fingerprints` is the number of lines whose fingerprints the files hold. `card` is
    what its maker says of it, in Markdown, and `notes` what else is to be known. `sha256` is by
    file.
    """

    finished: bool = True
    losses: dict[str, float | None] = {}
    label_losses: dict[str, float | None] = {}
    float16_losses: dict[str, float | None] | None = None
    int8_losses: dict[str, float | None] | None = None
    novelty: Novelty | None = None
    card: str | None = None
    notes: tuple[str, ...] = ()
    fingerprints: int = 0
    most_likely: tuple[LikelyString, ...] = ()
    verification: tuple[Verification, ...]
    sha256: dict[str, str]

    @property
    def stored_losses(self) -> dict[str, float | None]:
        """Those of float16 or int8, by the split and the precision."""
        found = {"float16": self.float16_losses, "int8": self.int8_losses}
        return {
            f"{split} in {precision}": loss
            for precision, losses in found.items()
            for split, loss in (losses or {}).items()
        }


def model_card(artifact: Artifact, report: Report) -> str:
    """The `README.md`: what the artifact holds, how well it does, how to use it, in Markdown."""
    model = artifact.model
    over = "all lines" if report.finished else "some of the lines, before training was finished"
    facts = {
        "model": f"{model.type}: {_listed(shown_config(model.config))}",
        "weights": f"{model.parameters:,}, {model.precision}",
        f"{artifact.level}s": f"{len(artifact.tokens):,}",
        **({"labels": ", ".join(artifact.labels)} if artifact.labels else {}),
        "longest string": f"{artifact.max_length:,} {artifact.level}s",
        **_origin(artifact.origin),
        **_training(artifact.training),
        "fingerprints of lines": _fingerprints(report.fingerprints),
    }
    losses = {name: quality(loss) for name, loss in report.losses.items()}
    losses |= {
        f"{name!r} given, all lines": quality(loss) for name, loss in report.label_losses.items()
    }
    losses |= {f"{name}, all lines": quality(loss) for name, loss in report.stored_losses.items()}
    novelty = f"Of {report.novelty.samples:,} samples: {report.novelty}." if report.novelty else ""
    if report.novelty and report.novelty.memorised:
        novelty += f"\n\n{report.novelty.memorised}."
    golden = "\n".join(artifact.golden.strings[:_SAMPLES])
    fence = "`" * max(3, _longest_run(golden) + 1)
    samples = (
        f"Samples, seed {artifact.golden.seed}:\n\n{fence}text\n{golden}\n{fence}\n"
        if golden
        else ""
    )
    likely = {
        each.text: (f"{each.probability:.3%}", _YES_OR_NO[each.is_line])
        for each in report.most_likely
    }
    likely_table = (
        "Its most likely strings:\n\n| string | probability | a line of the text |\n"
        f"| --- | --- | --- |\n{_rows(likely)}\n"
        if likely
        else ""
    )
    checks = {
        check.file: (f"{check.logits:,}", f"{check.largest_difference:.1e}", f"{check.golden}")
        for check in report.verification
    }
    table = (
        f"Mean negative log-likelihood, stops counted, over {over}:\n\n"
        f"| split | nats per {artifact.level} | perplexity | bits per {artifact.level} |\n"
        f"| --- | --- | --- | --- |\n{_rows(losses)}\n"
        if losses
        else ""
    )
    notes = "".join(f"{_escaped(note)}\n\n" for note in report.notes)
    said = f"{report.card.strip()}\n\n" if report.card else ""
    program = _PROGRAM if "model.ts" in report.sha256 else ""
    return f"""# {_title(artifact)}

{said}```python
import makemore

print(makemore.load("path of this folder").sample(5))
```

| | |
| --- | --- |
{_rows({name: (fact,) for name, fact in facts.items()})}

{notes}{table}
{novelty}

{likely_table}
{samples}
`model.onnx` is all that is needed.{program}

Each file was loaded again and compared with the model in PyTorch at every position:

| file | logits compared | largest difference | samples replayed |
| --- | --- | --- | --- |
{_rows(checks)}
"""


def _title(artifact: Artifact) -> str:
    name = _escaped(artifact.model.type)
    if artifact.training is not None:
        return f"{name} trained on {_escaped(artifact.training.data.name)}"
    return f"{name} from {_escaped(artifact.origin.name)}" if artifact.origin else name


def _origin(origin: OriginInfo | None) -> dict[str, str]:
    if origin is None:
        return {}
    facts = {"imported from": f"{origin.name}, read as {origin.format}"}
    return facts if origin.sha256 is None else {**facts, "SHA-256 of that file": origin.sha256}


def _training(training: TrainingInfo | None) -> dict[str, str]:
    if training is None:
        return {}
    data = training.data
    return {
        "data": f"{data.name}, {data.lines:,} lines used ({data.blank:,} blank and "
        f"{data.duplicates:,} duplicate ones in the file)",
        "SHA-256 of the data": data.sha256,
        "split": _listed({name: f"{lines:,}" for name, lines in data.split.items()}),
        "training": f"{training.steps:,} steps, seed {training.seed}"
        + ("; refitted on train and dev: all was chosen on dev before" if training.refit else ""),
    }


def quality(nll: float | None) -> tuple[str, str, str]:
    """A mean NLL, None where infinite, as nats, perplexity and bits."""
    if nll is None:
        return ("infinite",) * 3
    return f"{nll:.4f}", f"{perplexity(nll):.3f}", f"{bits(nll):.4f}"


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _fingerprints(count: int) -> str:
    return f"{count:,}, {stored_bytes(count):,} bytes" if count else "none"


def _rows(cells: Mapping[str, Sequence[str]]) -> str:
    rows = ([name, *values] for name, values in cells.items())
    return "\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in rows)


def _escaped(text: str) -> str:
    """The text as Markdown shows it letter by letter, in one line, also in a cell of a table."""
    special = r"[\\`*\[\]<>|#~&]|(?<!\w)_|_(?!\w)"  # "_" within a word is itself
    return re.sub(special, r"\\\g<0>", " ".join(text.split()))


def _longest_run(text: str) -> int:
    """The length of the longest run of back-ticks."""
    return max(map(len, re.findall("`+", text)), default=0)
