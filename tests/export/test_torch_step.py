"""The step that PyTorch runs: what it is fed and what it gives are checked."""

import numpy as np
import pytest
import torch
from makemore import ArtifactError, OptionError
from makemore.runtime.torch_step import TorchStep

TABLE = torch.arange(12.0).reshape(3, 4)
ZERO = np.zeros(1, np.int64)


def step_of(table=TABLE, vocab_size=4, block_size=None):
    step = TorchStep(lambda token, position: (table[token],), (), vocab_size, "cpu", block_size)
    step.reset(1)
    return step


def test_a_step_gives_the_logits_of_its_module():
    assert step_of().run(ZERO + 2, ZERO).tolist() == [[8, 9, 10, 11]]


@pytest.mark.parametrize("token", [-1, 4, -(2**63), 2**63 - 1])
def test_tokens_beyond_the_vocabulary_are_refused(token):
    with pytest.raises(OptionError, match=f"a token is {token}; it must be >= 0 and below 4"):
        step_of().run(np.array([token]), ZERO)


@pytest.mark.parametrize("position", [-1, 8, 2**63 - 1])
def test_positions_beyond_the_block_are_refused(position):
    with pytest.raises(OptionError, match=f"a position is {position}; it must be >= 0 and below 8"):
        step_of(block_size=8).run(ZERO, np.array([position]))


def test_any_position_will_do_where_there_is_no_block():
    assert step_of().run(ZERO, ZERO + 10**12).shape == (1, 4)


@pytest.mark.parametrize("table", [TABLE[:, :3], TABLE[:, None], TABLE.repeat(1, 2)])
def test_logits_of_another_shape_are_the_model_s_fault(table):
    with pytest.raises(ArtifactError, match=r"logits have shape .* it must be \(1, 4\)"):
        step_of(table).run(ZERO, ZERO)
