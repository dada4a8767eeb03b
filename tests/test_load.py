import os
import sys

import makemore
import numpy as np
import onnx
import pytest
import tiny_artifacts
import tiny_models
from makemore import ArtifactError, OptionError, OrtError
from makemore.artifact import METADATA_KEY, SCHEMA, Artifact
from makemore.runtime.onnxruntime_library import open_library
from tiny_artifacts import FOLDER

BIGRAM = FOLDER / "bigram" / "model.onnx"
TABLE = tiny_models.BIGRAM_LOGITS


def test_the_committed_artifacts_are_what_their_script_writes(tiny):
    committed = onnx.load(FOLDER / tiny.name / "model.onnx")
    assert committed == tiny_artifacts.build(tiny)


def test_an_artifact_still_makes_its_golden_samples(sampler):
    golden = sampler.artifact.golden
    assert len(golden.strings) == 20
    assert tuple(sampler.sample(20, min_length=0, seed=golden.seed)) == golden.strings


def test_a_folder_and_its_file_are_the_same_artifact(tiny):
    folder = makemore.load(FOLDER / tiny.name)
    file = makemore.load(str(FOLDER / tiny.name / "model.onnx"))
    assert folder.artifact == file.artifact
    assert folder.device == file.device == "cpu"


def test_metadata_round_trips_through_json(sampler):
    assert Artifact.from_json(sampler.artifact.to_json(), "a test") == sampler.artifact


def refuse(path, message, error=ArtifactError, **options):
    with pytest.raises(error, match=message) as caught:
        makemore.load(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none", "none.onnx", "none.ts", "\0"])
def test_a_missing_file_is_refused(tmp_path, name):
    refuse(tmp_path / name, "no such file")


def test_a_folder_without_an_artifact_is_refused(tmp_path):
    refuse(tmp_path, "model.onnx: no such file")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"x")
    refuse(tmp_path / "model.pt", "an artifact is a folder, a .onnx or a .ts file")


@pytest.mark.parametrize("size", [0, 1, 10, 100, 300, 600])
def test_a_truncated_file_is_refused(tmp_path, size):
    data = BIGRAM.read_bytes()
    assert size < len(data)
    (tmp_path / "model.onnx").write_bytes(data[:size])
    refuse(tmp_path, "cannot load|no metadata")


@pytest.mark.parametrize("data", [b"hello\n" * 100, bytes(range(256)) * 10, b"PK\3\4" + bytes(99)])
@pytest.mark.parametrize("name", ["model.onnx", "model.ts"])
def test_a_file_that_is_something_else_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    refuse(tmp_path / name, "cannot load|not a TorchScript file made by mm-export", trust=True)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_file_name_that_is_not_utf8_can_be_shown(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    path.write_bytes(b"x")
    refuse(path, r"cannot load .*\\xff\.onnx")


def save(folder, model, text=None):
    """Writes a model with the metadata of the bigram, or with `text`, which may be any bytes."""
    text = makemore.load(BIGRAM).artifact.to_json() if text is None else text
    del model.metadata_props[:]
    # Appended by hand, as `onnx` refuses what is not UTF-8: field 14 of ModelProto.
    value = text if isinstance(text, bytes) else text.encode()
    entry = field(1, METADATA_KEY.encode()) + field(2, value)
    (folder / "model.onnx").write_bytes(model.SerializeToString() + field(14, entry))
    return folder


def field(number, value):
    """A length-delimited field of protobuf."""
    size, length = len(value), []
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + value


def rewrite(tiny, folder, old, new):
    """The artifact of a tiny model with a piece of its metadata replaced."""
    model = tiny_artifacts.build(tiny)
    text = model.metadata_props[0].value.encode()
    assert text.count(old.encode()) == 1
    new = new if isinstance(new, bytes) else new.encode()
    return save(folder, model, text.replace(old.encode(), new))


@pytest.mark.parametrize(
    "graph",
    [
        "other (float[N] x) => (float[N] y) { y = Relu (x) }",
        "step (int64[B] token, int64[B] position) => (float[B, 4] y) { y = Gather (table, token) }",
    ],
)
def test_an_onnx_file_made_by_others_is_refused(tmp_path, graph):
    model = tiny_artifacts.parse(graph, table=TABLE)
    onnx.save(model, tmp_path / "model.onnx")
    refuse(tmp_path, "not made by mm-export|a step takes a token, a position and its states")


GATHER = "{ logits = Gather (table, token) }"
BROKEN_CONTRACTS = {
    "no position": (
        "(int64[B] token) => (float[B, 4] logits)" + GATHER,
        "has 1 inputs and 1 outputs",
    ),
    "a state that never comes back": (
        "(int64[B] token, int64[B] position, float[B, 2] h) => (float[B, 4] logits)" + GATHER,
        "has 3 inputs and 1 outputs",
    ),
    "a batch size traced in": (
        "(int64[2] token, int64[2] position) => (float[2, 4] logits)" + GATHER,
        r"'token' has shape \(2\); the batch axis must be free",
    ),
    "a token of many axes": (
        "(int64[B, 4] token, int64[B] position) => (float[B, 4, 4] logits)" + GATHER,
        r"'token' has shape \(-1, 4\); it must have 1 axis",
    ),
    "tokens of 32 bits": (
        "(int32[B] token, int64[B] position) => (float[B, 4] logits)" + GATHER,
        "'token' has element type 6",
    ),
    "positions that are floats": (
        "(int64[B] token, float[B] position) => (float[B, 4] logits)" + GATHER,
        "'position' has element type 1",
    ),
    "logits that are ids": (
        "(int64[B] token, int64[B] position) => (int64[B] logits) { logits = Identity (token) }",
        "'logits' has element type 7",
    ),
    "logits of free width": (
        "(int64[B] token, int64[B] position) => (float[B, V] logits) "
        "{ t = Cast <to = 1> (token) u = Unsqueeze (t, one) logits = Expand (u, token) }",
        "'logits' has shape",
    ),
    "a state that changes its shape": (
        "(int64[B] token, int64[B] position, float[B, 2] h) => (float[B, 4] logits, float[B, 4] g) "
        "{ logits = Gather (table, token) g = Concat <axis = 1> (h, h) }",
        r"'g' has shape \(-1, 4\), but 'h', which it follows, has \(-1, 2\)",
    ),
    "a state that changes its type": (
        "(int64[B] token, int64[B] position, float[B] h) => (float[B, 4] logits, int64[B] g) "
        "{ logits = Gather (table, token) g = Cast <to = 7> (h) }",
        "'g' has element type 7",
    ),
    "a state of doubles": (
        "(int64[B] token, int64[B] position, double[B] h) => (float[B, 4] logits, double[B] g) "
        "{ logits = Gather (table, token) g = Identity (h) }",
        "'h' has element type 11",
    ),
}


@pytest.mark.parametrize(("graph", "message"), BROKEN_CONTRACTS.values(), ids=[*BROKEN_CONTRACTS])
def test_a_model_that_breaks_the_step_contract_is_refused(tmp_path, graph, message):
    model = tiny_artifacts.parse("step " + graph, table=TABLE, one=np.array([1], np.int64))
    refuse(save(tmp_path, model), message)


def test_a_newer_schema_is_refused_with_the_cure_whatever_else_it_holds(tmp_path):
    text = f'{{"schema": {SCHEMA + 1}, "future": []}}'
    save(tmp_path, tiny_artifacts.build(tiny_models.BIGRAM), text)
    refuse(tmp_path, rf"schema {SCHEMA + 1} is newer than {SCHEMA}.*pip install --upgrade makemore")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Input data was truncated"),
        ("names", "JSON is malformed"),
        ("[]", "Expected `object`, got `array`"),
        ('{"model": 1}', "missing required field `schema`"),
        ('{"schema": 1}', "missing required field `model`"),
        ('{"schema": "1"}', "Expected `int`, got `str` - at `\\$.schema`"),
        (b'{"schema": 1, "model": "\xff"}', "bad makemore metadata"),
        ('{"schema": 1, "model": {"config": ' + '{"a":' * 99_999, "bad makemore metadata"),
    ],
)
def test_metadata_that_cannot_be_parsed_is_refused(tmp_path, text, message):
    refuse(save(tmp_path, tiny_artifacts.build(tiny_models.BIGRAM), text), message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema":3', '"schema":0', "schema is 0; the first is 1"),
        ('"max_length":20', '"max_length":0', "max_length is 0; at least 1 is needed"),
        ('"max_length":20', '"max_length":"20"', r"Expected `int`, got `str` - at `\$.max_length`"),
        ('"block_size":null', '"block_size":20', "a block of 20 holds 19 characters"),
        ('"a","b","c"', "", "tokens is empty; at least 1 is needed"),
        ('"a","b","c"', '"a","b","cd"', r"tokens\[2\] is 'cd'; it must be 1 code point"),
        ('"a","b","c"', '"a","b","a"', "tokens holds 'a' 2 times; 1 is the limit"),
        ('"character"', '"syllable"', r"Invalid enum value 'syllable' - at `\$.level`"),
        ('"character"', '"word"', "the vocabulary has 5 tokens, the model gives 4 logits"),
        ('"level":"character","tokens":["a"', '"level":"word","tokens":["a b"', "must be a word"),
        ('"level":"character","tokens":["a"', '"level":"word","tokens":["  a"', "must be a word"),
        ('"level":"character","tokens":["a"', '"level":"word","tokens":[" "', "must be a word"),
        ('"level":"character","tokens":["a"', '"level":"word","tokens":["a\\n"', "must be a word"),
        ('"a","b","c"', '"a","b","c","d"', "the vocabulary has 5 tokens, the model gives 4 logits"),
        ('"a","b","c"', '"a","b"', r"golden.strings\[0\]: character 'c'"),
        ('"a","b","c"', '"a","b","\\ud800"', "bad makemore metadata"),
        ('"a","b","c"', b'"a","b","\xff"', "bad makemore metadata"),
        ('"golden":{"seed":1', '"golden":{"seed":-1', r">= 0 - at `\$.golden.seed`"),
        ('"golden":{"seed":1', f'"golden":{{"seed":{2**64}', "golden.seed does not fit in 64 bits"),
        ('"strings":["c"', '"strings":["cz"', r"golden.strings\[0\]: character 'z'"),
        ('"strings":["c"', f'"strings":["{"a" * 21}"', r"golden.strings\[0\] has 21 characters"),
        ('"parameters":0', '"parameters":-1', r">= 0 - at `\$.model.parameters`"),
        ('"parameters":0', f'"parameters":{2**63}', r"`\$.model.parameters`"),
        ('"config":{}', '"config":' + '{"a":' * 900 + "1" + "}" * 900, "deeper than 32 levels"),
        ('"config":{}', '"config":{"a":' + "[" * 40 + "]" * 40 + "}", "deeper than 32 levels"),
        ('"config":{}', f'"config":{{"a":{2**64}}}', "a number of config does not fit in 64 bits"),
        ('"steps":0,"seed":0', f'"steps":0,"seed":{-(2**80)}', "training.seed does not fit in 64"),
        ('"steps":0', '"steps":-1', r">= 0 - at `\$.training.steps`"),
        ('"lines":0', '"lines":-1', r">= 0 - at `\$.training.data.lines`"),
        ('"max_length":20', '"max_length":100001', "max_length is 100001; 100000 is the limit"),
        ('"max_length":20', f'"max_length":{10**4000}', "100000 is the limit|out of range"),
        ('"block_size":null', f'"block_size":{2**31}', "is 2147483648; 2147483647 is the limit"),
        ('"block_size":null', '"block_size":-1', "a block of -1 holds -2 characters"),
        ('"type":"bigram"', f'"type":"{"x" * 10_001}"', r"length <= 10000 - at `\$.model.type`"),
        ('"versions":{}', f'"versions":{{"x":"{"y" * 10_001}"}}', r"length <= 10000 - at `\$.ver"),
    ],
)
def test_metadata_that_contradicts_itself_or_the_model_is_refused(tmp_path, old, new, message):
    refuse(rewrite(tiny_models.BIGRAM, tmp_path, old, new), message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"name":"cache","dtype"', '"name":"cash","dtype"', "the metadata names state .*cash"),
        ('"dtype":"float32"', '"dtype":"int64"', "the metadata names state"),
        (
            '"dtype":"float32"',
            '"dtype":"float64"',
            r"Invalid enum value 'float64' - at `\$.states\[0\].dtype`",
        ),
        ('"shape":[2,8,2]', '"shape":[2,8,4]', "the metadata names state"),
        ('"time_axis":1', '"time_axis":3', "has no axis 3"),
        ('"time_axis":1', '"time_axis":-1', "has no axis -1"),
        ('"time_axis":1', '"time_axis":0', "has 2 slots, but block_size is 8"),
        ('"block_size":8', '"block_size":9', "has 8 slots, but block_size is 9"),
        ('"block_size":8', '"block_size":null', "has 8 slots, but block_size is None"),
    ],
)
def test_states_that_the_model_does_not_have_are_refused(tmp_path, old, new, message):
    refuse(rewrite(tiny_models.CACHE, tmp_path, old, new), message)


def test_metadata_of_schema_1_is_read_as_that_of_the_newest(tmp_path, tiny):
    new = tiny_artifacts.build(tiny).metadata_props[0].value
    old = new.replace('"schema":3', '"schema":1').replace('"level":"character",', "")
    old = old.replace('"tokens":', '"characters":')
    assert Artifact.from_json(old, "a test") == Artifact.from_json(new, "a test")
    assert Artifact.from_json(old, "a test").schema == SCHEMA
    broken = old.replace('"characters":["a', '"characters":[1,"a')
    refuse(
        save(tmp_path, tiny_artifacts.build(tiny), broken),
        r"Expected `str`, got `int` - at `\$.characters\[0\]`",
    )


def test_an_unknown_device_is_refused():
    refuse(BIGRAM, "device is 'tpu'; it must be 'cpu', 'cuda' or 'auto'", OptionError, device="tpu")


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads):
    refuse(
        BIGRAM, f"threads is {threads}; it must be an integer >= 1", OptionError, threads=threads
    )


cpu_only = pytest.mark.skipif(
    "CUDAExecutionProvider" in open_library().providers(), reason="onnxruntime-gpu is installed"
)


@cpu_only
def test_cuda_without_a_gpu_build_of_onnxruntime_is_refused_with_the_cure():
    refuse(BIGRAM, "no CUDA provider.*pip install 'makemore\\[cuda\\]'", OrtError, device="cuda")


@cpu_only
def test_auto_falls_back_to_the_cpu_and_says_so():
    sampler = makemore.load(BIGRAM, device="auto")
    assert sampler.device == "cpu"
    assert sampler.sample(5, min_length=0, seed=1) == makemore.load(BIGRAM).sample(
        5, min_length=0, seed=1
    )


@pytest.mark.parametrize("logit", [np.nan, np.inf])
def test_a_model_whose_logits_are_not_numbers_loads_but_does_not_sample(tmp_path, logit):
    graph = "step (int64[B] token, int64[B] position) => (float[B, 4] logits)" + GATHER
    model = tiny_artifacts.parse(graph, table=np.full((4, 4), logit, np.float32))
    sampler = makemore.load(save(tmp_path, model))
    with pytest.raises(ArtifactError, match="the model's logits"):
        sampler.sample(1)
    with pytest.raises(ArtifactError, match="the model's logits"):
        sampler.score(["a"])


def test_a_step_that_fails_in_onnxruntime_says_so(tmp_path):
    graph = "step (int64[B] token, int64[B] position) => (float[B, 4] logits)" + GATHER
    sampler = makemore.load(save(tmp_path, tiny_artifacts.parse(graph, table=TABLE[:2])))
    with pytest.raises(OrtError, match=r"a step failed: .*out of data bounds"):
        sampler.score(["c"])
