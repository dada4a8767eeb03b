"""What a folder of shards says of itself."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from makemore.errors import DataError, OptionError
from makemore.scale.row_digest import added
from makemore.scale.storage import Folder

MANIFEST = "manifest.json"
SCHEMA = 1


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file that is whole: which rows were tried for it and how many strings passed.

    digest: of its rows (`makemore.scale.digest`); None of scores. source: of scores, what tells
    the file that was scored from a later one of its name.
    """

    file: str
    first_row: int
    rows: int
    strings: int
    bytes: int
    sha256: str
    digest: str | None = None
    source: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and the shards that are there.

    artifact: SHA-256 of its model.onnx. request: everything else that decides what is in the
    shards. versions: of what made them. strings, digest: of all rows, None while some are missing.
    """

    schema: int = SCHEMA
    kind: Literal["sample", "score"]
    artifact: str
    request: dict[str, Any]
    versions: dict[str, str]
    files: int
    strings: int | None = None
    digest: str | None = None
    shards: list[Shard] = []

    @property
    def complete(self) -> bool:
        """Whether all shards are there."""
        return len(self.shards) == self.files

    def with_shards(self, shards: list[Shard]) -> Manifest:
        """The same with these shards, in the order of their names."""
        shards = sorted(shards, key=lambda each: each.file)
        strings = digest = None
        if len(shards) == self.files:
            strings = sum(each.strings for each in shards)
            digests = [each.digest for each in shards if each.digest is not None]
            digest = added(digests) if len(digests) == len(shards) else None
        return msgspec.structs.replace(self, shards=shards, strings=strings, digest=digest)

    def write(self, folder: Folder) -> None:
        """Writes it, whole or not at all."""
        with folder.replacement(MANIFEST) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def read(cls, folder: Folder) -> Manifest | None:
        """The manifest of a folder, None where it has none; `DataError` where it is broken."""
        data = folder.read(MANIFEST)
        if data is None:
            return None
        where = f"{folder.name}/{MANIFEST}"
        try:
            manifest = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DataError(
                f"{where}: it is not a manifest: {error}; remove the folder to begin anew"
            ) from None
        if manifest.schema != SCHEMA:
            raise DataError(f"{where}: schema {manifest.schema}; this version knows {SCHEMA}")
        bad = next((x.file for x in manifest.shards if "/" in x.file or "\\" in x.file), None)
        if bad is not None:
            raise DataError(f"{where}: shard {bad!r} is not in this folder")
        return manifest

    def require_same(self, other: Manifest, where: str) -> None:
        """`OptionError`, which names what differs, where `other` asks for something else."""
        pairs = [("kind", self.kind, other.kind), ("artifact", self.artifact, other.artifact)]
        for name in ("request", "versions"):
            mine, others = getattr(self, name), getattr(other, name)
            keys = sorted(mine.keys() | others.keys())
            pairs += [(key, mine.get(key), others.get(key)) for key in keys]
        for name, mine, others in pairs:
            if mine != others:
                raise OptionError(
                    f"{where} was begun with {name} {_shown(mine)}, and is now asked to go on with "
                    f"{_shown(others)}: name another folder, or remove this one"
                )


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value!r:.80}"
