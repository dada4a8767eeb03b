"""The decode on a device, on the CPU's memory: it makes the strings that the host makes."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import makemore
import near_edges
import numpy as np
import onnx
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from makemore import ArtifactError, OptionError, OrtError, Sampler, _core
from makemore.runtime.cuda_libraries import require_cuda
from makemore.runtime.device_sampler import DeviceSampler
from makemore.runtime.onnxruntime_library import open_library
from tiny_artifacts import FOLDER, GRAPHS, metadata, parse

N = 10_000


def open_model(file):
    """The model, its axes of time and its metadata; run by its own nodes, as on a GPU."""
    artifact = makemore.load(file).artifact
    model = _core.OnnxModel(open_library(), file, kernel="", keep_file=True)
    return model, [state.time_axis for state in artifact.states], artifact


def on_device(file):
    """The artifact as `load` opens it on a GPU, on the CPU's memory."""
    *model, artifact = open_model(file)
    return DeviceSampler(artifact, _core.DeviceModel(*model), device="cpu")


def on_host(file):
    """The same, decoded by the host."""
    *model, artifact = open_model(file)
    return Sampler(artifact, lambda: _core.cpu_step(*model))


@pytest.fixture
def device(tiny):
    return on_device(FOLDER / tiny.name / "model.onnx")


def facts(samples):
    return [(s.text, s.finish_reason, s.seed, s.row) for s in samples]


def check_same(made, expected):
    """All the same but log-probabilities, which are so to 12 digits."""
    assert facts(made) == facts(expected)
    found, wanted = ([s.log_prob for s in samples] for samples in (made, expected))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


ALL_FILTERS = {"temperature": 1.4, "top_k": 3, "top_p": 0.9, "min_p": 0.1}


@pytest.mark.parametrize("options", [{}, ALL_FILTERS], ids=str)
def test_ten_thousand_samples_are_those_of_the_host(sampler, device, options):
    made = device.sample_ids(N, min_length=0, seed=3, batch_size=4096, **options)
    check_same(made, sampler.sample_ids(N, min_length=0, seed=3, batch_size=4096, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"temperature": 0},
        {"temperature": 1e-300},
        {"top_k": 2},
        {"top_p": 0.6},
        {"min_p": 0.5},
        {"temperature": 0, "top_p": 0.5, "min_p": 0.5},
        {"first_row": 2**63},
        {"max_length": 3},
    ],
    ids=str,
)
def test_a_thousand_samples_with_options_are_those_of_the_host(sampler, device, options):
    check_same(
        device.sample_ids(1000, min_length=0, seed=3, **options),
        sampler.sample_ids(1000, min_length=0, seed=3, **options),
    )


def cuda_runs():
    try:
        require_cuda(open_library())
    except OrtError:
        return False
    return True


@pytest.mark.skipif(not cuda_runs(), reason="no GPU")
@pytest.mark.parametrize(
    "options", [{}, ALL_FILTERS, {"temperature": 0}, {"min_length": 2, "batch_size": 1000}], ids=str
)
def test_ten_thousand_samples_of_a_gpu_are_those_of_the_host(tiny, sampler, options):
    # The logits of these models are exact on any engine: only the sampler's last bits may differ.
    gpu = makemore.load(FOLDER / tiny.name, device="cuda")
    asked = {"min_length": 0, "seed": 3, **options}
    if options.get("min_length"):
        asked["wildcard"] = f"*{tiny.characters[0]}?*"
    check_same(gpu.sample_ids(N, **asked), sampler.sample_ids(N, **asked))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64, None])
def test_the_batch_size_changes_nothing(device, batch_size):
    made = device.sample_ids(100, min_length=0, seed=3, batch_size=batch_size)
    check_same(made, device.sample_ids(100, min_length=0, seed=3, batch_size=1000))


@pytest.mark.parametrize("batch_size", [2, 7, 1000])
def test_rows_that_a_filter_drops_leave_nothing_to_those_after_them(
    tiny, sampler, device, batch_size
):
    first = tiny.characters[0]
    for options in ({"wildcard": f"*{first}?*"}, {"wildcard": f"{first}*"}, {"min_length": 3}):
        options |= {"seed": 3, "max_length": 6, "batch_size": batch_size}
        check_same(device.sample_ids(100, **options), sampler.sample_ids(100, **options))


def test_prefix_and_exclude_are_those_of_the_host(tiny, sampler, device):
    prefix = sampler.artifact.golden.strings[2][:2]
    for options in ({"prefix": prefix}, {"prefix": prefix, "max_length": len(prefix)}):
        options |= {"exclude": tiny.characters[1], "seed": 4}
        check_same(
            device.sample_ids(1000, min_length=0, **options),
            sampler.sample_ids(1000, min_length=0, **options),
        )


@settings(max_examples=40, deadline=None)
@given(
    tiny=st.sampled_from(tiny_models.MODELS),
    seed=st.integers(0, 2**64 - 1),
    temperature=st.one_of(st.just(0.0), st.floats(0.1, 4)),
    top_k=st.integers(0, 5),
    top_p=st.floats(0.1, 1),
    min_p=st.floats(0, 1),
    max_length=st.integers(3, 7),
    batch_size=st.integers(1, 20),
)
def test_any_options_give_the_strings_of_the_host(tiny, **options):
    file = FOLDER / tiny.name / "model.onnx"
    expected = makemore.load(file, threads=1).sample_ids(30, min_length=0, **options)
    check_same(on_device(file).sample_ids(30, min_length=0, **options), expected)


def test_scores_are_those_of_the_host(sampler, device):
    strings = sampler.sample(200, min_length=0, seed=1)
    assert device.score(strings).tolist() == sampler.score(strings).tolist()


def test_no_strings_at_all_is_an_empty_list(device):
    assert device.sample(0) == device.sample_ids(0) == []


def table_artifact(folder, logits):
    """An artifact of a table: `logits` (V, V) float32 after each token."""
    graph, _ = GRAPHS["bigram"]
    model = parse(graph, table=np.asarray(logits, np.float32))
    onnx.helper.set_model_props(model, {"makemore": metadata(tuple("abc")).to_json()})
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_rows_that_differ_are_those_whose_coin_is_near_an_edge(tmp_path):
    # As on a GPU, whose logits differ by rounding; here by so much that some rows do differ.
    error = 1e-3
    noise = np.random.default_rng(1).uniform(-error, error, (4, 4))
    other = on_device(table_artifact(tmp_path, tiny_models.BIGRAM_LOGITS + noise))
    runs = [
        [made.ids.tolist() for made in sampler.sample_ids(N, min_length=0, seed=7)]
        for sampler in (makemore.load(FOLDER / "bigram"), other)
    ]
    found = near_edges.distances(tiny_models.BIGRAM.logits, *runs, seed=7)
    assert 0 < len(found) < N * error * 10
    assert max(found.values()) < error / 2


def test_logits_that_are_not_finite_are_the_fault_of_the_artifact(tmp_path):
    for logit in (np.nan, np.inf):
        logits = tiny_models.BIGRAM_LOGITS.copy()
        logits[2, 1] = logit
        sampler = on_device(table_artifact(tmp_path, logits))
        for options in ({}, {"temperature": 0.5}, {"top_k": 2}):
            with pytest.raises(ArtifactError, match="the model's logits are not finite"):
                sampler.sample(100, min_length=0, seed=1, **options)


def test_a_model_that_says_nothing_is_at_fault_itself(tmp_path):
    sampler = on_device(table_artifact(tmp_path, np.full((4, 4), -np.inf)))
    with pytest.raises(ArtifactError, match="the model's logits are not finite"):
        sampler.sample(1)


def test_an_excluded_character_that_leaves_nothing_to_say_is_the_fault_of_the_caller():
    sparse = on_device(FOLDER / "sparse" / "model.onnx")
    for options in ({}, {"temperature": 0}, {"top_p": 0.5}):
        with pytest.raises(OptionError, match="no token is left to choose"):
            sparse.sample(1, min_length=0, exclude="a中😀", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "n is -1; it must be an integer >= 0"),
        ({"max_length": 0}, "max_length is 0; it must be an integer >= 1"),
        ({"batch_size": 0}, "batch_size is 0; it must be an integer >= 1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"min_p": 2.0}, "min_p is 2"),
    ],
)
def test_an_option_that_cannot_be_is_refused_as_on_the_host(options, message):
    with pytest.raises(OptionError, match=message):
        on_device(FOLDER / "bigram" / "model.onnx").sample(**{"n": 1, **options})


def test_threads_that_sample_at_once_do_not_disturb_each_other(sampler, device):
    def made(seed):
        return [device.sample(200, min_length=0, seed=seed, temperature=t) for t in (1, 0.5)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(made, range(12)))
    assert found == [
        [sampler.sample(200, min_length=0, seed=seed, temperature=t) for t in (1, 0.5)]
        for seed in range(12)
    ]


def test_ctrl_c_ends_an_endless_decode():
    endless = on_device(FOLDER / "bigram" / "model.onnx")
    # A job in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        endless.sample(1, min_length=0, temperature=0, max_length=2**40)
    signal.signal(signal.SIGINT, before)


def resident_bytes():
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


@pytest.mark.resident_memory
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells the memory in use")
def test_memory_stays_flat_over_many_calls():
    sampler = on_device(FOLDER / "cache" / "model.onnx")

    def used_after(calls):
        for row in range(calls):
            sampler.sample(512, min_length=0, seed=1, first_row=512 * row, batch_size=256)
        return resident_bytes()

    before = used_after(10)
    assert used_after(60) - before < 2**20  # 30,720 strings; those of one call take some 100 KB


# From the CUDA part of onnxruntime's docs/OperatorKernels.md (opset 13 to 20): the operators that
# the sampler is made of, and the types of their first input that it uses.
CUDA_KERNELS = {
    "Add": "double int64", "Cast": "bool double float int64", "CumSum": "double", "Div": "double",
    "Equal": "int64", "Exp": "double", "Gather": "double int64", "GatherElements": "double",
    "Greater": "double int64", "GreaterOrEqual": "double", "Less": "double int64", "Log": "double",
    "Mod": "int64", "Mul": "double int64", "ReduceSum": "float", "ScatterElements": "double",
    "Squeeze": "bool int64", "Sub": "double int64", "TopK": "float", "Unsqueeze": "bool",
    "Where": "double float float16 int64",
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_p": 0.5}], ids=str)
def test_the_model_with_its_sampler_is_valid_and_all_of_the_sampler_has_a_cuda_kernel(
    tiny, options
):
    file = FOLDER / tiny.name / "model.onnx"
    *opened, _ = open_model(file)
    data = _core.DeviceModel(*opened).sampler_bytes(_core.SamplingOptions(**options))
    onnx.checker.check_model(data, full_check=True)
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data), strict_mode=True)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    own_nodes = len(onnx.load(file).graph.node)
    for node in model.graph.node[own_nodes:]:
        data_input = node.input[1 if node.op_type == "Where" else 0]
        kind = onnx.TensorProto.DataType.Name(types[data_input]).lower()
        assert kind in CUDA_KERNELS[node.op_type].split(), f"{node.op_type} of {kind}"
