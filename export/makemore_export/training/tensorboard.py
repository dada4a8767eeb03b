"""The records of a training for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from makemore.errors import OptionError

from makemore_export.runs.records import Evaluation, Record, Refit


class Scalars:
    """A context in which records become scalars of event files in `folder`."""

    def __init__(self, folder: Path) -> None:
        """`OptionError` without the package tensorboard."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
        except ImportError:
            raise OptionError(
                "--tensorboard needs the package tensorboard: pip install 'makemore[tensorboard]'"
            ) from None
        self._writer = SummaryWriter(folder)

    def __enter__(self) -> Scalars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def add(self, record: Record) -> None:
        """Losses in nats per token, as `model/train`, and what else the record has."""
        if isinstance(record, Evaluation):
            end = "_at_end" if record.finished else ""
            values = {name + end: loss for name, loss in record.losses.items()}
            values |= {"running": record.running_loss, "learning_rate": record.learning_rate}
        elif isinstance(record, Refit):
            values = {f"{name}_at_choice": loss for name, loss in record.losses.items()}
        else:
            values = {"train": record.loss}
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(f"{record.model}/{name}", value, record.step)
