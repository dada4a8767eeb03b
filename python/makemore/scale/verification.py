"""Whether the shards of a folder are what its manifest says."""

from __future__ import annotations

import os

from makemore.errors import DataError
from makemore.scale.manifest import Manifest
from makemore.scale.storage import Folder


def manifest_of(folder: Folder) -> Manifest:
    """The manifest of a folder; `DataError` where it has none."""
    manifest = Manifest.read(folder)
    if manifest is None:
        raise DataError(f"{folder.name}: holds no manifest.json, which generate and score write")
    return manifest


def seed_of(output: str | os.PathLike[str]) -> int | None:
    """The seed of the rows that a folder was begun with; None where it has no manifest."""
    manifest = Manifest.read(Folder.of(output))
    return None if manifest is None else manifest.request.get("seed")


def verify(output: str | os.PathLike[str]) -> list[str]:
    """What is wrong with a folder of shards, a sentence each; empty where it is whole.

    Every byte of every shard is read. Nothing is changed: to mend a folder, make it again with the
    same options. Raises `DataError` for a folder without a manifest.
    """
    folder = Folder.of(output)
    manifest = manifest_of(folder)
    wrong = []
    if not manifest.complete:
        wrong.append(f"{len(manifest.shards)} of {manifest.files} shards are there")
    for shard in manifest.shards:
        found = folder.sha256(shard.file)
        if found is None:
            wrong.append(f"{shard.file} is missing")
        elif found != shard.sha256:
            wrong.append(f"{shard.file} is not as it was written: its SHA-256 is {found}")
    known = {each.file for each in manifest.shards}
    others = sorted(
        name for name in folder.files() if name.endswith(".parquet") and name not in known
    )
    return wrong + [f"{name} is no shard of the manifest" for name in others]
