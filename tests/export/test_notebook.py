"""The notebook of the lectures runs from its first cell to its last."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "lectures.ipynb"


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
def test_the_notebook_of_the_lectures_runs(tmp_path, monkeypatch):
    # The commands of this environment, which need not be an active one.
    commands = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), os.environ["PATH"]]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "it is committed without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    printed = "\n".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert "top bigrams" in printed
    assert "lowest dev" in printed
    assert (tmp_path / "plots" / "embedding.png").stat().st_size > 0
