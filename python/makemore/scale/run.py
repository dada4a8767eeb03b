"""A run: all tasks of a folder, begun or gone on with, and the manifest that is kept of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from makemore.errors import DataError, OptionError
from makemore.scale.engines import Engine
from makemore.scale.manifest import Manifest, Shard
from makemore.scale.tasks import Job, Result, Task

OnResult = Callable[[Result], None]

_SECONDS_BETWEEN_MANIFESTS = 1.0


def run(
    job: Job,
    manifest: Manifest,
    tasks: Iterable[Task],
    engine: Engine,
    on_result: OnResult | None,
) -> Manifest:
    """Makes the shards that are missing, or not as an earlier manifest says, and gives the manifest
    of all. However it ends, the folder has a manifest of the shards that are whole.

    Raises `OptionError` where another run works in the folder: each would remove, as partial files
    of a process that was killed, what the other has under way.
    """
    job.folder.create()
    with job.folder.locked():
        known = _begin(job, manifest)
        job.folder.remove_partial()
        todo = [_with_known(task, known.get(task.file)) for task in tasks]
        shards = {task.file: known[task.file] for task in todo if task.file in known}
        with _kept(job, manifest, shards) as save, closing(engine.results(job, todo)) as results:
            for result in results:
                if engine.elsewhere and job.folder.size(result.shard.file) != result.shard.bytes:
                    raise DataError(
                        f"{job.folder.name}/{result.shard.file}: a worker wrote it where this "
                        "process does not see it: name a folder that all of them share, such as "
                        "a URI"
                    )
                shards[result.shard.file] = result.shard
                save()
                if on_result is not None:
                    on_result(result)
        return manifest.with_shards([*shards.values()])


def _begin(job: Job, manifest: Manifest) -> dict[str, Shard]:
    """The shards of an earlier run, which asked for the same."""
    folder = job.folder
    earlier = Manifest.read(folder)
    if earlier is not None:
        earlier.require_same(manifest, folder.name)
        return {each.file: each for each in earlier.shards}
    others = sorted(name for name in folder.files() if name.endswith(".parquet"))
    if others:
        raise OptionError(f"{folder.name}: holds {others[0]} and no manifest; name an empty folder")
    manifest.write(folder)
    return {}


def _with_known(task: Task, known: Shard | None) -> Task:
    same = known is not None and known.source == task.source
    return task._replace(known=known) if same else task


@contextmanager
def _kept(job: Job, manifest: Manifest, shards: dict[str, Shard]) -> Iterator[Callable[[], None]]:
    """Writes the manifest now and then, and at the end, whatever ends the block."""
    last = time.monotonic()

    def save() -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_MANIFESTS:
            manifest.with_shards([*shards.values()]).write(job.folder)
            last = time.monotonic()

    try:
        yield save
    finally:
        job.folder.remove_partial()
        manifest.with_shards([*shards.values()]).write(job.folder)
