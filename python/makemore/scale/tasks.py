"""A task: one shard, which any process may make, and make again."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from makemore.errors import DataError
from makemore.scale.manifest import Shard
from makemore.scale.storage import Folder


class Task(NamedTuple):
    """A shard to be made: its file, and its rows.

    known: what the manifest says of it, if it was there before. source: as that of `Shard`.
    """

    file: str
    first_row: int
    rows: int
    known: Shard | None = None
    source: str | None = None


class Result(NamedTuple):
    """A shard that is there: made, kept from an earlier run, or, where it was not as the manifest
    says, made again.
    """

    shard: Shard
    state: Literal["made", "kept", "remade"]


class Job(Protocol):
    """What is the same for all tasks of a run; it pickles."""

    @property
    def folder(self) -> Folder:
        """Where shards go."""

    def make(self, task: Task) -> Shard:
        """Makes a shard."""


def run_task(job: Job, task: Task) -> Result:
    """Makes a shard, or keeps it where its file is as the manifest says."""
    known = task.known
    if known is None:
        return Result(job.make(task), "made")
    if job.folder.sha256(known.file) == known.sha256:
        return Result(known, "kept")
    made = job.make(task)
    if (made.strings, made.digest) != (known.strings, known.digest):
        raise DataError(
            f"{job.folder.name}/{task.file} was not as the manifest says, and made again it has "
            f"{made.strings} strings, digest {made.digest}, not {known.strings}, {known.digest}: "
            "the manifest was changed, or this processor rounds otherwise; remove the folder"
        )
    return Result(made, "remade")
