"""The benchmark against other runtimes: what it makes of their figures and of their ids."""

import ctypes
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    if not BENCHMARKS.is_dir():
        pytest.skip("no benchmarks beside these tests")
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if name.partition(".")[0] in {"peer", "peers", "peers_plot", "worker", "figures"}:
            del sys.modules[name]


@pytest.mark.usefixtures("benchmarks")
def test_strings_joined_by_numpy_are_those_that_python_joins():
    import peer

    letters = ["\0", "a", "é", "𠮷"]
    ids = np.random.default_rng(0).integers(0, 4, (200, 5))
    expected = ["".join(letters[i] for i in row).partition("\0")[0] for row in ids.tolist()]
    assert peer.join(ids, letters) == expected
    assert "" in expected
    assert max(map(len, expected)) == 5


@pytest.mark.usefixtures("benchmarks")
def test_ratios_are_over_the_fastest_of_the_others_within_a_round():
    pytest.importorskip("scipy")
    from peer import COLD, OURS
    from peers import over_fastest

    int8 = "makemore, int8"
    rates = {
        1: {
            OURS: [8.0, 6.0, 9.0],
            COLD: [2.0, 2.0, 2.0],
            "a": [1.0, 2.0, 3.0],
            "b": [1.0, 1.0, 1.0],
        },
        100: {OURS: [4.0], int8: [20.0], "a": [1.0], "b": [2.0], "c, int8": [4.0]},
    }
    rows = over_fastest(rates)
    found = [(row["names a call"], row["ours"], row["fastest"], row["over it"]) for row in rows]
    assert found == [
        (1, OURS, "a", 3.0),  # of 8, 3 and 3
        (1, COLD, "a", 1.0),  # of 2, 1 and 2/3
        (100, OURS, "b", 2.0),
        (100, int8, "c, int8", 5.0),
    ]
    assert (rows[0]["names/s"], rows[0]["its names/s"]) == (8.0, 2.0)
    assert over_fastest({1: {OURS: [1.0]}}) == []


COUNTING_STEP = """
#include "cpp_loop.h"

// The token that follows is the number of steps since the row's string began, or at the fourth the
// stop.
class Counting : public Loop {
 public:
  Counting() : Loop(4) {}

 private:
  void open() override {
    steps_.assign(tokens_.size(), 0);
    logits_.resize(4 * tokens_.size());
  }
  void forget(std::size_t row) override { steps_[row] = 0; }
  float* run() override {
    logits_.assign(logits_.size(), -1000);
    for (std::size_t row = 0; row < steps_.size(); ++row) {
      logits_[4 * row + (++steps_[row] & 3)] = 0;
    }
    return logits_.data();
  }
  std::vector<int> steps_;
  std::vector<float> logits_;
};

extern "C" Loop* loop_open() { return new Counting; }
"""


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("c++"), reason="no C++ compiler")
def test_a_row_of_the_loop_in_cpp_takes_the_next_string(tmp_path):
    from peer.cpp_loop import FOLDER, compiled

    step = tmp_path / "step.cpp"
    step.write_text(COUNTING_STEP)
    library = compiled(FOLDER / "cpp_loop.cpp", step, f"-I{FOLDER}")
    library.loop_open.restype = ctypes.c_void_p
    loop = ctypes.c_void_p(library.loop_open())
    for n, rows, string in [(7, 3, [1, 2, 3, 0, -1]), (7, 3, [1, 2]), (2, 2, [1, 2]), (1, 1, [1])]:
        ids = np.full((n + 1, len(string)), -1, np.int32)
        library.loop_generate(
            loop,
            ctypes.c_int64(n),
            ctypes.c_size_t(rows),
            ctypes.c_uint64(0),
            ctypes.c_int64(len(string)),
            ctypes.c_void_p(ids.ctypes.data),
        )
        assert ids[:n].tolist() == [string] * n
        assert (ids[n] == -1).all()
    assert sys.float_info.min / 2 > 0, "it set the processor to flush subnormals to zero"
