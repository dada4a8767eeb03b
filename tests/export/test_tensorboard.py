"""Records as TensorBoard shows them."""

from __future__ import annotations

import sys

import pytest
from makemore.errors import OptionError
from makemore_export.runs.records import Evaluation, Start
from makemore_export.training.tensorboard import Scalars

START = Start(model="mlp", loss=3.25, vocab_size=27)
EVALUATION = Evaluation(
    model="mlp",
    step=5,
    losses={"train": 2.5, "dev": None},
    running_loss=2.75,
    learning_rate=0.5,
    best=True,
    finished=False,
    seconds=1.0,
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own
def test_scalars_are_the_finite_numbers_of_the_records(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Scalars(tmp_path) as scalars:
        scalars.add(START)
        scalars.add(EVALUATION)
    found = EventAccumulator(str(tmp_path)).Reload()
    assert {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    } == {
        "mlp/train": [(0, 3.25), (5, 2.5)],
        "mlp/running": [(5, 2.75)],
        "mlp/learning_rate": [(5, 0.5)],
    }


def test_without_tensorboard_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OptionError, match=r"pip install 'makemore\[tensorboard\]'"):
        Scalars(tmp_path)
