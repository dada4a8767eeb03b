"""The static page beside an artifact, which samples from it in a browser.

The page itself is built from `web/page` and ships with this package, in `page/`. ONNX Runtime's
files are those of the npm package onnxruntime-web, which the user gets: they are 14 MB.
"""

from __future__ import annotations

import hashlib
import html
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from makemore.errors import MissingDependencyError, OptionError

from makemore_export.runs.atomic_files import prepared_folder, replace_folder
from makemore_export.runs.target_lock import locked

PAGE_FILES = ("index.html", "page.css", "page.js", "worker.js", "icon.svg")

RUNTIME_VERSION = "1.30.0"
RUNTIME_FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",  # noqa: E501
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",  # noqa: E501
}
"""What the page needs of onnxruntime-web, with the SHA-256 of each file in `RUNTIME_VERSION`."""

WEB_FILES = frozenset({*PAGE_FILES, *RUNTIME_FILES})
"""What `--web` adds to an artifact's `model.onnx`."""

_PACKED = f"onnxruntime-web-{RUNTIME_VERSION}.tgz"
_GET = f"npm pack onnxruntime-web@{RUNTIME_VERSION}"
_MAX_FILE = 2**25
_NAME = "{{artifact}}"
"""Where `index.html` names the artifact."""


def read_runtime(given: Path | None) -> dict[str, bytes]:
    """The `RUNTIME_FILES`, from a folder, or from what `npm pack` writes.

    given: the folder or the file; None looks for the packed file in the working directory, then for
    `node_modules` there and above. `MissingDependencyError` where nothing is
    found, `OptionError` for files of another version.
    """
    place = _found() if given is None else given
    if place is None:
        raise MissingDependencyError(
            f"--web needs onnxruntime-web {RUNTIME_VERSION}, and there is no {_PACKED} in "
            f"{Path.cwd()} and no node_modules that holds it; get it with: {_GET}"
        )
    contents = _unpacked(place) if place.is_file() else _of_folder(place)
    for name, digest in RUNTIME_FILES.items():
        if name not in contents:
            raise OptionError(f"{place}: holds no {name} of onnxruntime-web; get it with: {_GET}")
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise OptionError(
                f"{place}: its {name} is not that of onnxruntime-web {RUNTIME_VERSION}, which the "
                f"page is made for; get it with: {_GET}"
            )
    return contents


def _found() -> Path | None:
    here = Path.cwd()
    folders = (each / "node_modules/onnxruntime-web/dist" for each in (here, *here.parents))
    return next((each for each in (here / _PACKED, *folders) if each.exists()), None)


def _of_folder(folder: Path) -> dict[str, bytes]:
    """Those of the files that are in `folder`, or in its `dist`, where npm puts them."""
    inner = folder / "dist"
    source = inner if inner.is_dir() else folder
    there = [name for name in RUNTIME_FILES if (source / name).is_file()]
    return {name: (source / name).read_bytes() for name in there}


def _unpacked(file: Path) -> dict[str, bytes]:
    contents = {}
    try:
        with tarfile.open(file) as packed:
            for member in packed:
                name = member.name.removeprefix("package/dist/")
                if name in RUNTIME_FILES and (stream := packed.extractfile(member)):
                    contents[name] = stream.read(_MAX_FILE)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise OptionError(f"{file}: is not what {_GET} writes: {error}") from None
    return contents


def web_files(artifact: str, runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files of the page by name.

    artifact: what the page calls it, and `mm-sample` in the command that the page shows.
    runtime: what `read_runtime` gives.
    """
    folder = files(__package__).joinpath("page")
    page = {name: folder.joinpath(name).read_bytes() for name in PAGE_FILES}
    named = page["index.html"].decode().replace(_NAME, html.escape(artifact))
    return {**page, "index.html": named.encode(), **runtime}


def write_page(model: Path, out: Path, page: Mapping[str, bytes]) -> None:
    """Writes the page and the artifact `model`, a `model.onnx`, to the folder `out`.

    In the artifact's own folder, all else stays as it is. `OptionError` where another folder holds
    anything but an earlier page. At every moment `out` is wholly the old or the new one.
    """
    target = out.resolve()
    own = model.resolve() == target / "model.onnx"
    if target == Path.cwd():
        raise OptionError(f"{out}: is the working directory; name another folder")
    with locked(target), prepared_folder(target) as prepared:
        if not own:
            _check_target(out)
        kept = {file.name: file for file in target.iterdir()} if own else {"model.onnx": model}
        for name, file in kept.items():
            if not file.is_file():
                raise OptionError(f"{file}: is a folder; the folder of an artifact holds none")
            shutil.copy2(file, prepared / name, follow_symlinks=not own)
        for name, content in page.items():
            (prepared / name).write_bytes(content)
        replace_folder(prepared, target)


def _check_target(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OptionError(f"{out}: is a file; a page is a folder")
    names = {path.name for path in out.iterdir()}
    strange = names - WEB_FILES - {"model.onnx"}
    if strange or (names and "index.html" not in names):
        raise OptionError(f"{out}: holds {min(strange or names)!r}, so it is no page to replace")
