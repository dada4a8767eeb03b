"""What an artifact's folder says of itself: `report.json` for programs, `README.md` for people."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from makemore.artifact import Artifact

from makemore_export.evaluation.likelihood import bits, perplexity
from makemore_export.evaluation.novelty import Novelty
from makemore_export.packing.verification import Verification

_SAMPLES = 10


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The `report.json`. `losses` are nats per token by part, None where infinite; those of an
    unfinished run are over some of the lines, and its `novelty` is None. `float16_losses` are those
    of an artifact in float16 over whole parts, None where they were not measured. `sha256` is by
    file.
    """

    finished: bool
    losses: dict[str, float | None]
    float16_losses: dict[str, float | None] | None = None
    novelty: Novelty | None
    verification: tuple[Verification, ...]
    sha256: dict[str, str]


def model_card(artifact: Artifact, report: Report) -> str:
    """The `README.md`: what the artifact holds, how well it does, how to use it, in Markdown."""
    training, model = artifact.training, artifact.model
    data = training.data
    over = "all lines" if report.finished else "some of the lines, before training was finished"
    facts = {
        "model": f"{model.type}: {_listed(model.config)}",
        "weights": f"{model.parameters:,}, {model.precision}",
        f"{artifact.level}s": f"{len(artifact.tokens):,}",
        "longest string": f"{artifact.max_length:,} {artifact.level}s",
        "data": f"{data.name}, {data.lines:,} lines used ({data.blank:,} blank and "
        f"{data.duplicates:,} duplicate ones in the file)",
        "SHA-256 of the data": f"`{data.sha256}`",
        "split": _listed({part: f"{lines:,}" for part, lines in data.split.items()}),
        "training": f"{training.steps:,} steps, seed {training.seed}",
    }
    losses = {part: " | ".join(quality(loss)) for part, loss in report.losses.items()}
    losses |= {
        f"{part}, in float16, all lines": " | ".join(quality(loss))
        for part, loss in (report.float16_losses or {}).items()
    }
    novelty = f"Of {report.novelty.samples:,} samples: {report.novelty}." if report.novelty else ""
    golden = "\n".join(artifact.golden.strings[:_SAMPLES])
    samples = f"Samples, seed {artifact.golden.seed}:\n\n```text\n{golden}\n```\n" if golden else ""
    checks = {
        check.file: f"{check.logits:,} | {check.largest_difference:.1e} | {check.golden}"
        for check in report.verification
    }
    return f"""# {model.type} trained on {data.name}

```python
import makemore

print(makemore.load("path of this folder").sample(5))
```

| | |
| --- | --- |
{_rows(facts)}

Mean negative log-likelihood, stops counted, over {over}:

| part | nats per {artifact.level} | perplexity | bits per {artifact.level} |
| --- | --- | --- | --- |
{_rows(losses)}

{novelty}

{samples}
Each file was loaded again and compared with the model in PyTorch at every position:

| file | logits compared | largest difference | samples replayed |
| --- | --- | --- | --- |
{_rows(checks)}
"""


def quality(nll: float | None) -> tuple[str, str, str]:
    """A mean NLL, None where infinite, as nats, perplexity and bits."""
    if nll is None:
        return ("infinite",) * 3
    return f"{nll:.4f}", f"{perplexity(nll):.3f}", f"{bits(nll):.4f}"


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _rows(cells: dict[str, str]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in cells.items())
