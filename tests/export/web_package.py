"""The package in web/, run by Node or in a page of Chromium, to be compared with Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_web = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node"),
    pytest.mark.skipif(
        not (WEB / "dist/makemore.js").exists(),
        reason="web/ is not built: npm ci && npm run build, there",
    ),
]

Call = tuple[str, str, list[Any]]
"""An artifact, a method, its arguments."""


def replayed(artifacts: Path, calls: Sequence[Call], browser: str | None = None) -> list[Any]:
    """What the package in web/ returns for some calls."""
    cases = [
        {"artifact": f"{name}/model.onnx", "method": method, "arguments": arguments}
        for name, method, arguments in calls
    ]
    (artifacts / "cases.json").write_text(json.dumps(cases))
    command = ["node", str(WEB / "test/replay.js"), str(artifacts), *([browser] if browser else [])]
    subprocess.run(command, check=True, timeout=300)
    return json.loads((artifacts / "found.json").read_text())


def camel(options: dict[str, Any]) -> dict[str, Any]:
    """The same options by their names in JavaScript; JSON has no integers of 64 bits."""
    names = {name: "".join([name[0], *name.title().replace("_", "")[1:]]) for name in options}
    return {
        names[name]: str(value) if name in ("seed", "first_row") else value
        for name, value in options.items()
    }
