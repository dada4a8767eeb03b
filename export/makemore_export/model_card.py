"""What an artifact's folder says of itself: `report.json` for programs, `README.md` for people."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from makemore.artifact import Artifact

from makemore_export.verification import Verification

_SAMPLES = 10


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The `report.json`. `losses` are nats per character by part, None where infinite; those of an
    unfinished run are over some of the lines. `sha256` is by file.
    """

    finished: bool
    losses: dict[str, float | None]
    verification: tuple[Verification, ...]
    sha256: dict[str, str]


def model_card(artifact: Artifact, report: Report) -> str:
    """The `README.md`: what the artifact holds, how well it does, how to use it, in Markdown."""
    training, model = artifact.training, artifact.model
    data = training.data
    over = "all lines" if report.finished else "some of the lines, before training was finished"
    facts = {
        "model": f"{model.type}: {_listed(model.config)}",
        "weights": f"{model.parameters:,}",
        "characters": f"{len(artifact.characters)}",
        "longest string": f"{artifact.max_length} characters",
        "data": f"{data.name}, {data.lines:,} lines used ({data.blank:,} blank and "
        f"{data.duplicates:,} duplicate ones in the file)",
        "SHA-256 of the data": f"`{data.sha256}`",
        "split": _listed({part: f"{lines:,}" for part, lines in data.split.items()}),
        "training": f"{training.steps:,} steps, seed {training.seed}",
    }
    losses = {
        part: "infinite" if loss is None else f"{loss:.4f}" for part, loss in report.losses.items()
    }
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

Mean negative log-likelihood in nats per character, stops counted, over {over}:

| part | loss |
| --- | --- |
{_rows(losses)}

Samples, seed {artifact.golden.seed}:

```text
{chr(10).join(artifact.golden.strings[:_SAMPLES])}
```

Each file was loaded again and compared with the model in PyTorch at every position:

| file | logits compared | largest difference | samples replayed |
| --- | --- | --- | --- |
{_rows(checks)}
"""


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _rows(cells: dict[str, str]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in cells.items())
