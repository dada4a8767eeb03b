"""`DeviceStep` keeps states on a device; on the CPU's memory it must do what `CpuStep` does."""

import pytest
from makemore import OptionError, Sampler, _core
from makemore.runtime.onnxruntime_library import open_library
from tiny_artifacts import FOLDER


def open_model(tiny):
    return _core.OnnxModel(open_library(), FOLDER / tiny.name / "model.onnx")


def cpu_step(tiny):
    return _core.cpu_step(open_model(tiny), [state.time_axis for state in tiny.states])


def device_model(tiny):
    return _core.DeviceModel(open_model(tiny), [state.time_axis for state in tiny.states])


def device_step(tiny):
    return _core.DeviceStep(device_model(tiny))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_a_decode_over_the_device_step_gives_the_same(tiny, sampler, threads, batch_size):
    model = device_model(tiny)
    on_device = Sampler(sampler.artifact, lambda: _core.DeviceStep(model), threads=threads)
    expected = sampler.sample_ids(200, seed=3, batch_size=batch_size)
    made = on_device.sample_ids(200, seed=3, batch_size=batch_size)
    assert [(s.text, s.log_prob) for s in made] == [(s.text, s.log_prob) for s in expected]
    strings = [s.text for s in expected]
    assert on_device.score(strings).tolist() == sampler.score(strings).tolist()


# Selections as the decode loop makes them: every row parts; rows end and the last ones move up;
# all go on; most end; two part again.
SELECTIONS = [[0, 0, 0, 0, 0], [4, 1, 3], [0, 1, 2, 0, 0, 1, 2, 2, 1], [8, 7], [0, 1, 1, 0], [3]]


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_a_step_gives_the_logits_of_the_definition_as_rows_part_move_and_end(tiny, new_step):
    step = new_step(tiny)
    step.reset(1)
    tokens, generated = [0], [[]]
    for position, parents in enumerate(SELECTIONS):
        logits = step.run(tokens, [position] * len(tokens))
        assert logits.tolist() == [tiny.logits(ids).tolist() for ids in generated]
        step.select(parents)
        tokens = [(3 * row + position) % tiny.vocab_size for row in range(len(parents))]
        generated = [[*generated[p], token] for p, token in zip(parents, tokens, strict=True)]


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_rows_may_be_at_different_positions(tiny, new_step):
    step = new_step(tiny)
    step.reset(1)
    first = tiny.vocab_size - 1
    step.run([0], [0])
    step.select([0, 0])
    logits = step.run([first, first], [1, 1])
    assert logits.tolist() == [tiny.logits([first]).tolist()] * 2
    step.reset(2)
    step.run([0, 0], [0, 0])
    assert step.run([first, 0], [1, 0])[0].tolist() == tiny.logits([first]).tolist()


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_rows_may_be_moved_twice_before_they_run(tiny, new_step):
    step = new_step(tiny)
    step.reset(1)
    step.run([0], [0])
    step.select([0, 0])
    step.select([0, 1, 1])
    logits = step.run([1, 1, 1], [1, 1, 1])
    assert logits.tolist() == [tiny.logits([1]).tolist()] * 3


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_reset_forgets_everything(tiny, new_step):
    step = new_step(tiny)
    for rows in (3, 2, 5):
        step.reset(rows)
        logits = step.run([0] * rows, [0] * rows)
        assert logits.tolist() == [tiny.logits([]).tolist()] * rows
        step.run([1] * rows, [1] * rows)


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_no_rows_give_no_logits(tiny, new_step):
    step = new_step(tiny)
    step.reset(0)
    assert step.run([], []).shape == (0, tiny.vocab_size)
    step.reset(2)
    step.select([])
    assert step.run([], []).shape == (0, tiny.vocab_size)


@pytest.mark.parametrize("new_step", [cpu_step, device_step])
def test_rows_and_tokens_that_do_not_fit_are_refused(tiny, new_step):
    step = new_step(tiny)
    with pytest.raises(OptionError, match="rows is -1"):
        step.reset(-1)
    step.reset(2)
    with pytest.raises(OptionError, match="a step of 2 rows was given 1 tokens and 2 positions"):
        step.run([0], [0, 0])
    for parent in (-1, 2):
        with pytest.raises(OptionError, match=f"parent {parent} is none of the 2 rows"):
            step.select([parent])


def test_a_selection_that_would_copy_a_row_already_replaced_is_refused(tiny):
    step = cpu_step(tiny)
    step.reset(2)
    with pytest.raises(OptionError, match="row 1 is both copied and replaced"):
        step.select([1, 0])
