"""Filters and patterns of the package in web/ pass the strings that those of Python pass."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import makemore
import pytest
from makemore.patterns.classes import members
from tiny_artifacts import FOLDER
from web_package import WEB, camel, needs_web, replayed

pytestmark = needs_web


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with artifacts of each level."""
    folder = tmp_path_factory.mktemp("web")
    for name in ("schema-3/transformer", "schema-2/words", "schema-3/tokens", "schema-3/labels"):
        shutil.copytree(FOLDER / name, folder / Path(name).name)
    return folder


FILTERED = [
    {"wildcard": "*a?"},
    {"wildcard": r"\*a"},
    {"suffix": "na", "min_length": 5},
    {"suffix": "Na"},
    {"min_length": 30},
    {"min_length": 0},
    {"min_length": 3, "max_length": 4},
    {"max_length": 3},
    {"prefix": "an", "suffix": "a", "exclude": "n"},
    {"exclude": "aeiou"},
    {"exclude": "é"},
    {"not_in": ["anna", "a", "ella"]},
    {"unique": True},
    {"unique": True, "matching": "[ab]{1,2}"},
    {"unique": True, "matching": "(ann|emm|ev)a", "max_rows": 2**21},
    {"penalty": 1.7},
    {"top_k": 3, "temperature": 1.5},
    {"min_p": 0.2, "top_p": 0.95},
    {"temperature": 0},
    {"max_rows": 30, "suffix": "q"},
    {"first_row": 2**64 - 10},
    {"first_row": 2**32 - 5},
    {"prefix": "abcdefghijklmnopqrstuvwxyz"},
]
PATTERNS = [
    "m[aeiou]r[a-z]{2,4}", "(?:an){2}.*", "[a-m]+(lyn|ette)", "a|b|", "a{2}", "a{,2}", "a{2,}",
    "a{ 1 , 2 }", "a{", "a**", "a*+", "a+?b", "(?i)ANN.*", "(?i:A)nn.*", "(?-i)a.*", "(?s).+",
    "(?x)a b", "(?P<name>an).*", "(?<name>an).*", "^an.*$", "a^n", r"\Aan.*\z", r"an.*\Z",
    "^a|b$", r"\ban.*", r"(a)\1", "(?=a).*", "(?!a).*", "(?>a)b", "(?#no)a", "[a-z&&[^aeiou]]+",
    "[a-e--[b-c]]+", "[a-c~~b-d]+", "[^a-y]", "[]a]+", "[a]]", "[^]a]+", "[-a]+", "[a-]+",
    "[a-b-c]+", "[b-a]", "[", "[]", "a]", "a}", ")", "(", r"\d+", r"[\d]+", r"\D+", r"\w+", r"\W",
    r"[^\W\d]+", r"\s", r"\pL+", r"\p{L}+", r"\p{Lu}", r"\P{Lu}+", r"(?i)\p{Lu}+", r"\p{Latin}+",
    r"\p{Greek}", r"\p{Alphabetic}+", r"\p{Script=Latin}+", r"\p{no}", "[[:alpha:]]+",
    "[[:^alpha:]]+", "[[:lower:]&&[^b]]+", "[[:no:]]", r"\x61.*", r"\x{61}.*", r"\u0061.*",
    r"\U00000061.*", r"\n", r"[\x61-\x63]+", r"\q", r"\-", "\\", "", ".", "a.c", "(a(b(c)?)?)?",
    "((a|b)*a(a|b){5}).*", "(a|b)*a(a|b){14}", "a{5000}", "(((((a)))))", "é", "é|a.*", "[éa].*",
    "K|ſ|a", r"(?i)k.*", "(?i)[^a].*", r"a\&b", r"[\&&&a]", r"[a&&b]", r"[\]a]+", "(?i-s:AN).*",
    "(?is)AN.*", "(?U)a+", "a??b*?", "(|a)n.*", "()", "(?:)a.*", "x{0}a.*", "[a-z]{3}(?i)[A-Z]+",
]  # fmt: skip


@pytest.mark.parametrize("name", ["transformer", "words", "tokens", "labels"])
def test_each_filter_and_pattern_gives_what_python_gives_or_is_refused(artifacts, name):
    sampler = makemore.load(artifacts / name)
    options = [*FILTERED, *({"matching": pattern} for pattern in PATTERNS)]
    asked = [{"seed": 5, "max_rows": 20_000, **each} for each in options]
    found = replayed(artifacts, [(name, "sampleIds", [12, camel(each)]) for each in asked])
    for each, other in zip(asked, found, strict=True):
        assert_the_same_or_refused(sampler, each, other)


def assert_the_same_or_refused(
    sampler: makemore.Sampler, options: dict[str, Any], found: Any
) -> None:
    try:
        expected = sampler.sample_ids(12, **options)
    except makemore.MakemoreError as error:
        assert isinstance(found, dict), (options, error)
        assert found["error"] == type(error).__name__, (options, error, found)
    else:
        assert isinstance(found, list), (options, found)
        assert [each["text"] for each in found] == [each.text for each in expected], options
        assert [int(each["row"]) for each in found] == [each.row for each in expected], options


CLASSES = [
    r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\pL", r"\PL", r"\p{Lu}", r"\P{Lu}", r"(?i:\p{Lu})",
    r"(?i:\P{Lu})", r"(?i:[^\p{Lu}])", r"(?i:[^\P{Lu}])", r"\p{Greek}", r"\p{Script=Greek}",
    r"\p{Alphabetic}", r"\p{M}", r"\p{Sc}", r"\p{Any}", r"\p{ASCII}", r"\p{Letter}", r"\p{gc=Lu}",
    r"\p{Common}", r"\p{C}", r"\p{none}", "[[:alpha:]]", "[[:^alpha:]]", "[[:punct:]]",
    "[[:space:]]", "[[:word:]]", "[[:graph:]]", "[[:cntrl:]]", "[[:alpha]]", "(?i:[[:upper:]])",
    "(?i:k)",
    "(?i:s)", "(?i:[a-z])", "(?i:[^a-z])", "(?i:ß)", "(?i:σ)", "(?i:ı)", "(?i:[à-þ])", "(?i:Ꭰ)",
    "(?i:[А-Я&&[^Б]])", "(?i:[a-z--k])", "(?i:[a-z~~K])", r"[\w&&[^\d]]", r"[\p{L}--\p{Lu}]",
    r"[^\w\s]", r"[\W\d]", "[a-c&&b-d&&c]", "[a-z&&[aeiou]--e]", "[--a]", "[a--]", "[&&a]", "[a&&]",
    r"[a-\d]", r"[\d-a]", "[a-[b]]", "[[a]-c]", r"[\]]", "[^^]", "[^-a]", r"[\b]", r"[\é]", r"[\<]",
    "[ -~]", "[*-+-.]", r"[\x41-\x{5a}]", "[a-z&&&b]", "[a&b]", "[{}()|*+?.$]", "[[]", "[]]",
    "[^]]",
]  # fmt: skip
BLOCKS = [
    (1, 0x250), (0x370, 0x378), (0x386, 0x4FF), (0x5D0, 0x5EA), (0x900, 0x950), (0x13A0, 0x13F5),
    (0x2000, 0x2064), (0x20A0, 0x20BE), (0x2100, 0x2180), (0x4E00, 0x4E20), (0x1F600, 0x1F640),
]  # fmt: skip
"""First code point of some blocks and the one after the last."""


def test_a_class_holds_the_characters_that_python_says():
    characters = "".join(chr(code) for begin, end in BLOCKS for code in range(begin, end))
    command = ["node", str(WEB / "test/class_members.js")]
    asked = json.dumps({"classes": CLASSES, "characters": characters})
    ran = subprocess.run(command, input=asked, check=True, capture_output=True, text=True)
    for name, held in zip(CLASSES, json.loads(ran.stdout), strict=True):
        assert held == expected_members(name, characters), name


def expected_members(name: str, characters: str) -> str | None:
    try:
        (held,) = members([name], characters)
    except makemore.OptionError:
        return None
    return "".join(map(str, held.astype(int)))
