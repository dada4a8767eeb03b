"""What a run of training is, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from makemore.artifact import DataInfo
from makemore.token_vocabulary import new_vocabulary
from makemore.vocabulary import Level, Vocabulary
from msgspec import Meta

from makemore_export.configs import ModelSpec, Recipe
from makemore_export.data.long_lines import LongLines
from makemore_export.data.reading import Reading
from makemore_export.evaluation.novelty import Novelty

if TYPE_CHECKING:
    from makemore_export.models import Model

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on what: the same from the first step to the last.

    `recipe` is None for a model that counts; `max_length` is the longest string to sample, in
    tokens; `split` is the percentages of train, dev, test; `split_pattern` cuts lines at level
    "token"; with `labels` each line begins with one and a tab. `reading` is how the lines were
    found in the file; of lines with more characters than `max_line_length`, `long_lines` says what
    becomes. `split_seed` is that of the split where it is not `seed`, as of a model of a blend.
    With `refit`, what was chosen on dev is trained anew on train and dev.
    """

    model: str
    config: dict[str, Any]
    level: Level
    tokens: tuple[str, ...]
    max_length: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    data: DataInfo
    split: tuple[float, float, float]
    keep_duplicates: bool
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    recipe: Recipe | None
    split_pattern: str | None = None
    labels: tuple[str, ...] = ()
    max_line_length: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    long_lines: LongLines = "error"
    reading: Reading = Reading()
    split_seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    refit: bool = False

    @property
    def spec(self) -> ModelSpec:
        """What is trained."""
        return ModelSpec(model=self.model, config=self.config, recipe=self.recipe)

    @property
    def vocabulary(self) -> Vocabulary:
        """What encodes the strings."""
        return new_vocabulary(self.level, self.tokens, self.split_pattern, self.labels)

    def new_model(self) -> Model:
        """The model with its sizes, not yet trained; `OptionError` for one unknown here."""
        from makemore_export.models import new_model

        return new_model(self.model, self.config, len(self.vocabulary))


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come.

    `losses` are nats per token by split, None for an infinite one: the latest in a last checkpoint;
    in a best one its own, once the run is `finished` those of its last evaluation.
    `waited` counts the evaluations since the best one, at `best_step`; `seconds` have gone into the
    run; `nats` over `tokens` is the mean loss of the steps since the last evaluation, `step_losses`
    that of each; None is one that is no number. `log_bytes` is the length of the log that belongs
    to this state. `fitted` is what the model chose for itself on the dev split, by name. `novelty`
    is that of the samples of a finished run.
    """

    step: Count = 0
    losses: dict[str, float | None] = {}
    best_loss: float | None = None
    best_step: Count = 0
    waited: Count = 0
    seconds: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    nats: float | None = 0.0
    tokens: Count = 0
    step_losses: tuple[float | None, ...] = ()
    log_bytes: Count = 0
    finished: bool = False
    fitted: dict[str, float | list[float]] = {}
    novelty: Novelty | None = None
