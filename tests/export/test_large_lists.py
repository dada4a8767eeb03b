"""Lists that are larger than what is held of them at a time."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from makemore.errors import DataError, OptionError
from makemore.reading.decoding import decode, decode_pieces
from makemore.text import numbered_lines
from makemore.vocabulary import STOP, Vocabulary
from makemore.word_vocabulary import WordVocabulary
from makemore_export.data import counting, lines, scratch
from makemore_export.data.counting import count_distinct
from makemore_export.data.encoded_strings import EncodedStrings
from makemore_export.data.encoding import encoded_lengths
from makemore_export.data.lines import Lines
from makemore_export.data.reading import Reading
from makemore_export.data.splits import split
from makemore_export.data.text import read_text
from makemore_export.evaluation import likelihood, novelty
from makemore_export.evaluation.likelihood import mean_nll
from makemore_export.models import contexts
from makemore_export.models.ngram import Ngram, NgramConfig
from makemore_export.runs.checkpoint import RunFolder
from makemore_export.runs.records import Evaluation, Step
from small_runs import LINES, planned, records, same, trained

TEXTS = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=5), max_size=20)


@pytest.fixture
def few_at_a_time(monkeypatch):
    """Blocks of a few lines, and every array in a mapped file."""
    monkeypatch.setattr(lines, "_BLOCK_LINES", 3)
    monkeypatch.setattr(lines, "_SHARE", 4)
    monkeypatch.setattr(scratch, "IN_MEMORY", 0)


@given(TEXTS, st.randoms(use_true_random=False), st.sampled_from([1, 3, 100]))
def test_lines_are_a_sequence_of_the_strings_that_were_put_in(strings, chance, at_a_time):
    rows = chance.choices(range(len(strings)), k=7) if strings else []
    with (
        mock.patch.object(lines, "_BLOCK_LINES", at_a_time),
        mock.patch.object(lines, "_BLOCK_BYTES", 4),
        mock.patch.object(lines, "_SHARE", at_a_time),
    ):
        kept = Lines.of(iter(strings))
        taken = kept.take(np.array(rows, np.int64))
        for found, expected in ((kept, strings), (taken, [strings[row] for row in rows])):
            assert [*found] == expected == [found[i] for i in range(len(expected))]
            assert [*found[2:]] == expected[2:]
            assert found.lengths.tolist() == [*map(len, expected)]
            assert found.characters == {*"".join(expected)}
            assert [*found.take(found.first_rows)] == [*dict.fromkeys(expected)]


def test_a_line_with_what_ends_lines_in_memory_is_refused():
    with pytest.raises(DataError, match=r"line 'b\\x00' has NUL"):
        Lines.of(["a", "b\0"])


def test_a_split_is_that_of_lists(few_at_a_time):
    strings = random.Random(1).choices(LINES, k=100)
    for keep in (True, False):
        pool = strings if keep else [*dict.fromkeys(strings)]
        order = np.random.default_rng(7).permutation(len(pool))
        found = split(strings, (80, 10, 10), 7, keep_duplicates=keep)
        assert [line for lines in found.values() for line in lines] == [pool[i] for i in order]


@given(st.text("ab\n\r\x85é語", max_size=40), st.integers(1, 9))
def test_a_text_in_pieces_is_the_text(text, piece):
    pieces = [decoded.text for decoded in decode_pieces("x", text.encode(), piece=piece)]
    assert "".join(pieces) == decode("x", text.encode()).text
    assert all(piece.endswith("\n") for piece in pieces[:-1])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_of_many_pieces_has_the_lines_of_the_whole(tmp_path, encoding):
    chance = random.Random(3)
    ends = ["\n", "\r\n", "\r", "\n\n", " \n\t"]
    text = "".join(f"zoë{i}{chance.choice(ends)}\ufeff{i % 9}\n" for i in range(150_000))
    (tmp_path / "text.txt").write_bytes(text.encode(encoding))
    read = read_text(tmp_path / "text.txt")
    numbers, kept = zip(*numbered_lines(text), strict=True)
    assert (*read.numbers,) == numbers
    assert (*read.lines,) == kept
    assert (read.crlf, read.bom) == (text.count("\r\n"), encoding == "utf-8-sig")
    assert read.duplicates == len(kept) - len({*kept})
    ends = len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
    assert read.blank == ends - len(kept)


def test_a_table_of_many_pieces_has_the_cells_of_the_whole(tmp_path):
    cells = [f"zoë, {i}\n\n{i % 7}" for i in range(100_000)]
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("n", "name"), *enumerate(cells)])
    read = read_text(tmp_path / "table.csv", Reading(column="name"))
    assert (*read.lines,) == (*cells,)
    assert [*read.numbers] == [*range(4, 4 + 3 * len(cells), 3)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(b"\xff\xfe", "byte 3000000 is not utf-8"), (b"\0", "character 3000000 is NUL")],
)
def test_what_is_wrong_far_into_a_text_is_told_with_its_place(tmp_path, wrong, message):
    (tmp_path / "text.txt").write_bytes(b"ab\n" * 1_000_000 + wrong)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "text.txt")


def vocabularies(strings):
    return [Vocabulary.of(strings), WordVocabulary.of(strings, 2), Vocabulary.of([*strings, "é語"])]


@given(st.lists(st.text("ab c", min_size=1, max_size=9), min_size=1, max_size=20))
def test_strings_in_a_mapped_file_are_those_in_memory(strings):
    for vocabulary in vocabularies(strings):
        ids = [vocabulary.encode(string) for string in strings]
        with (
            mock.patch.object(scratch, "IN_MEMORY", 0),
            mock.patch.object(lines, "_BLOCK_LINES", 2),
        ):
            mapped = EncodedStrings(strings, vocabulary)
        assert mapped.tokens.tolist() == [STOP, *(i for each in ids for i in (*each, STOP))]
        assert mapped.lengths.tolist() == [*map(len, ids)]
        assert encoded_lengths(strings, vocabulary).tolist() == [*map(len, ids)]
        inputs, targets = mapped.batch(torch.arange(len(strings)))
        for row, (given_ids, expected) in enumerate(zip(inputs, targets, strict=True)):
            assert given_ids.tolist()[1 : len(ids[row]) + 1] == ids[row]
            assert expected.tolist()[: len(ids[row]) + 1] == [*ids[row], STOP]


@pytest.mark.parametrize(("size", "width"), [(255, 1), (256, 2), (40_000, 4)])
def test_a_token_takes_as_many_bytes_as_the_vocabulary_needs(size, width):
    characters = [chr(0x10000 + i) for i in range(size)]
    strings = EncodedStrings(["".join(characters[-3:])], Vocabulary(characters))
    assert strings.tokens.tolist() == [0, size - 2, size - 1, size, 0]
    assert strings._padded.element_size() == width


def test_a_character_that_is_not_known_is_named():
    with pytest.raises(OptionError, match=r"character 'ü' \(number 2 of 'aü'\)"):
        EncodedStrings(["a", "aü"], Vocabulary("a"))


@pytest.mark.parametrize("model", ["gru", "transformer", "blend"])
def test_training_from_a_mapped_file_is_the_training_from_memory(tmp_path, request, model):
    expected = trained(tmp_path / "memory", model)
    request.getfixturevalue("few_at_a_time")
    assert same(trained(tmp_path / "mapped", model), expected)


def test_a_run_from_memory_goes_on_bit_for_bit_from_a_mapped_file(tmp_path, request):
    expected = trained(tmp_path / "whole", "gru")
    _, steps = records(tmp_path / "stopped", "gru")
    for record in steps:
        if isinstance(record, Step) and record.step == 9:
            steps.close()
    request.getfixturevalue("few_at_a_time")
    _, steps = records(tmp_path / "stopped", "gru")
    assert [record.step for record in steps if isinstance(record, Step)] == [*range(10, 20)]
    assert same(RunFolder(tmp_path / "stopped").latest(), expected)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="PyTorch without gloo")
def test_two_processes_train_from_mapped_files_as_from_memory(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    ended = []
    for limit in (0, 1 << 25):
        script = tmp_path / f"train{limit}.py"
        script.write_text(
            "from makemore_export.data import scratch\n"
            f"scratch.IN_MEMORY = {limit}\n"
            "from makemore_export.commands.train import main\nmain()\n"
        )
        words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script.name]
        words += ["text.txt", "-o", f"run{limit}", "--model", "gru", "--n-hidden", "8"]
        done = subprocess.run(
            [sys.executable, *words, "--max-steps", "9", "--batch-size", "8", "--device", "cpu"],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        ended.append(RunFolder(tmp_path / f"run{limit}").latest())
    assert same(*ended)


@pytest.mark.skipif(sys.platform == "win32", reason="a file without a name is one of POSIX")
def test_a_mapped_file_has_no_name_that_others_could_open(tmp_path, monkeypatch, few_at_a_time):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    strings = EncodedStrings(LINES, Vocabulary.of(LINES))
    assert [*tmp_path.iterdir()] == []
    assert strings.tokens.sum() == EncodedStrings(LINES, Vocabulary.of(LINES)).tokens.sum()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error_that_names_the_folder(monkeypatch, few_at_a_time):
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "wb"))
    with pytest.raises(DataError, match=r"No space left on device; TMPDIR names another folder"):
        Lines.of(["a"])


@given(st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=9))
def test_numbers_of_many_blocks_are_counted(blocks):
    with mock.patch.object(counting, "_COUNTED_AT_ONCE", 5):
        numbers, counts = count_distinct(np.array(block, np.int64) for block in blocks)
    expected = Counter(number for block in blocks for number in block)
    assert [*zip(numbers.tolist(), counts.tolist(), strict=True)] == sorted(expected.items())


@pytest.mark.parametrize("order", [2, 3, 5])
def test_an_ngram_of_too_many_tokens_to_number_its_events_is_the_same(monkeypatch, order):
    strings = EncodedStrings(LINES, Vocabulary.of(LINES))
    tables = []
    for largest in (1 << 63, 1):
        monkeypatch.setattr(contexts, "_LARGEST", largest)
        model = Ngram(NgramConfig(order=order), strings.vocab_size)
        model.fit(strings, None)
        tables.append(model.state_dict())
    assert all(torch.equal(tables[0][name], tables[1][name]) for name in tables[0])


def test_the_last_losses_are_over_the_first_strings_of_a_large_split(tmp_path, monkeypatch):
    monkeypatch.setattr(likelihood, "MOST_TOKENS", 100)
    model, steps = records(tmp_path, "bigram")
    [record] = steps
    assert isinstance(record, Evaluation)
    assert record.lines.keys() == {"train"}
    run, splits = planned("bigram")
    some = [*splits["train"]][: record.lines["train"]]
    tokens = sum(len(line) + 1 for line in some)
    assert tokens <= 100 < tokens + len(splits["train"][len(some)]) + 1
    assert record.losses["train"] == mean_nll(model, EncodedStrings(some, run.vocabulary))


def test_novelty_is_the_same_however_many_lines_are_compared_at_a_time(monkeypatch):
    samples = ["anna", "annb", "bob", "zoe", "anna"]
    splits = {"train": ["ann", "bo", "anna", "z", "annbx"], "dev": ["bob", "anna"]}
    expected = novelty.compare(samples, splits)
    monkeypatch.setattr(novelty, "_AT_ONCE", 1)
    assert novelty.compare(samples, splits) == expected
    assert (expected.in_train, expected.held_out, expected.longest_prefix) == (2, 1, 4)
