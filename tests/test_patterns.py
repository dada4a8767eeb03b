"""Patterns: the automaton against Python's `re`, string by string, and every refusal."""

import importlib.util
import itertools
import random
import re
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makemore import OptionError
from makemore.patterns import UNREACHABLE, compile_filter
from makemore.vocabulary import Vocabulary
from makemore.word_vocabulary import WordVocabulary

needs_classes = pytest.mark.skipif(
    importlib.util.find_spec("outlines_core") is None, reason="outlines-core is not installed"
)
ABC = Vocabulary("abc")
SMALL = ["".join(s) for n in range(7) for s in itertools.product("abc", repeat=n)]
LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")
WORDS = WordVocabulary((" the", "the", " cat", ",", "cat", " a", "-"))
UNKNOWN = WORDS.unknown


def compiled(vocabulary=ABC, **asked):
    return compile_filter(vocabulary, **{"max_length": 100, **asked})


def takes(automaton, ids):
    """Whether the tokens end in an accepting state."""
    state = 0
    for token in ids:
        state = automaton.transitions[state, token]
        if state < 0:
            return False
    return bool(automaton.accepting[state])


def taken(automaton, strings, vocabulary=ABC):
    return [s for s in strings if takes(automaton, vocabulary.encode(s))]


def refusal(vocabulary=ABC, **asked):
    with pytest.raises(OptionError) as error:
        compiled(vocabulary, **asked)
    return str(error.value)


def require_trimmed(automaton):
    """Each state but the start is reached and goes on to acceptance; distances as walked."""
    distance = np.where(automaton.accepting, 0, UNREACHABLE)
    for _ in distance:
        for state, row in enumerate(automaton.transitions):
            after = [distance[end] + 1 for end in row if end >= 0]
            distance[state] = min([distance[state], *after])
    assert (automaton.shortest == distance).all()
    assert (distance < UNREACHABLE).all()
    reached = {0} | set(automaton.transitions[automaton.transitions >= 0].tolist())
    assert reached == set(range(len(automaton.accepting)))
    assert (automaton.transitions[:, 0] == -1).all()
    assert automaton.transitions.dtype == np.int32


@needs_classes
@pytest.mark.parametrize(
    "pattern",
    [
        *("a", "abc", "a|b", "a|", "|a|bc|", "()", "(a|b)*", "a*b+c?", "a{2}", "a{2,}", "a{1,3}b"),
        *("(ab){0,2}c", "(a*)*", "(a|b*)*c", "(a?){3}", "(a|ab)(c|bc)", "a*?b", "a+?b??", "a{2}?"),
        *(
            ".",
            ".*",
            "[ab]+",
            "[^a]*",
            "[a-c]{2}",
            "[^a-b]",
            r"\w",
            r"\Wa|b",
            r"\D\S",
            "[]a]",
            "[b-]",
        ),
        *("^abc$", "^a|b$", r"\Aab", "(?i)A", "(?i:B)c", "(?i:[BC]+)a", "(?i)a|B", "((?i)A)a|b"),
        *(
            "(?P<x>a)b",
            "(?:a|b)c",
            r"\x61",
            r"\u0062\U00000063",
            r"a\.|b",
            "(a{0}|b)c",
            "(a{0}b){2}",
        ),
        *(
            "((a|b)(b|c)){1,2}",
            "(a|b)*a(a|b){3}",
            "(.*a){2}",
            "a{0}",
            "a{ 1 , 2 }",
        ),
        *("(|a)+", "((a|)b?)*c", "(a*b*){2,3}", "((a{2}){2}b?)*", "(?s:.)|(?-s:..)", "b|a1|1"),
    ],
)
def test_a_regular_expression_takes_what_python_takes(pattern):
    python = pattern.replace("{ 1 , 2 }", "{1,2}").replace("((?i)A)", "((?i:A))")
    automaton = compiled(matching=pattern)
    assert taken(automaton, SMALL) == [s for s in SMALL if re.fullmatch(python, s)]
    require_trimmed(automaton)


REGEXES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", ""]),
    lambda part: st.one_of(
        st.tuples(part, part).map("".join),
        st.tuples(part, part).map(lambda parts: f"(?:{parts[0]}|{parts[1]})"),
        st.tuples(part, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "{1,3}"])).map(
            lambda parts: f"(?:{parts[0]}){parts[1]}"
        ),
    ),
    max_leaves=8,
)


@needs_classes
@given(REGEXES.filter(bool))
@settings(deadline=None)
def test_any_regular_expression_takes_what_python_takes(pattern):
    strings = [s for s in SMALL if "c" not in s]
    automaton = compiled(matching=pattern)
    assert taken(automaton, strings) == [s for s in strings if re.fullmatch(pattern, s)]
    require_trimmed(automaton)


@needs_classes
@pytest.mark.parametrize(
    "pattern",
    [r"\w+", r"\W*\d?", r"[^é-ж]*", ".+", r"(?i:ж|É).*", r".*\s.*", "一|[a-ÿ]{2}", r"\d+"],
)
def test_classes_are_those_of_unicode(pattern):
    characters = "aéÉßжЖ一1٣_- \n😀"
    vocabulary = Vocabulary(characters)
    chance = random.Random(5)
    strings = ["".join(chance.choices(characters, k=chance.randrange(5))) for _ in range(2000)]
    automaton = compiled(vocabulary, matching=pattern)
    expected = [s for s in strings if re.fullmatch(pattern, s)]
    assert taken(automaton, strings, vocabulary) == expected


@needs_classes
@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        (r"\p{L}", lambda c: unicodedata.category(c)[0] == "L"),
        (r"\pN", lambda c: unicodedata.category(c)[0] == "N"),
        (r"[\P{Lu}]", lambda c: unicodedata.category(c) != "Lu"),
        (r"[\p{Cyrillic}&&\p{L}]", lambda c: c.isalpha() and "CYRILLIC" in unicodedata.name(c)),
        (r"[a-z&&[^aeiou]]", lambda c: c in "bcdfghjklmnpqrstvwxyz"),
        (r"[[:alpha:][0-9]]", lambda c: c.isascii() and c.isalnum()),
        (r"[\]\\]", lambda c: c in "]\\"),
    ],
)
def test_classes_of_properties_and_sets(pattern, holds):
    vocabulary = Vocabulary([chr(i) for i in range(1, 0x500)])
    row = compiled(vocabulary, matching=pattern).transitions[0]
    assert [vocabulary.tokens[i - 1] for i in np.flatnonzero(row >= 0)] == [
        c for c in vocabulary.tokens if holds(c)
    ]


def wildcard_matches(wildcard, text):
    """The definition, by recursion."""
    if not wildcard:
        return not text
    head, rest = wildcard[0], wildcard[1:]
    if head == "*":
        return any(wildcard_matches(rest, text[i:]) for i in range(len(text) + 1))
    if head == "\\":
        head, rest = wildcard[1], wildcard[2:]
        return text[:1] == head and wildcard_matches(rest, text[1:])
    return bool(text) and head in ("?", text[0]) and wildcard_matches(rest, text[1:])


@given(st.lists(st.sampled_from(["a", "b", "?", "*", r"\*", r"\\", r"\?"]), min_size=1, max_size=6))
@settings(deadline=None)
def test_a_wildcard_takes_what_its_definition_says(parts):
    vocabulary = Vocabulary("ab*?\\\n")
    wildcard = "".join(parts)
    strings = ["".join(s) for n in range(5) for s in itertools.product("ab*\\\n?", repeat=n)]
    automaton = compiled(vocabulary, wildcard=wildcard)
    expected = [s for s in strings if wildcard_matches(wildcard, s)]
    assert taken(automaton, strings, vocabulary) == expected
    require_trimmed(automaton)


def test_a_suffix_is_taken_as_it_is_written():
    vocabulary = Vocabulary("a*?\\")
    strings = ["".join(s) for n in range(5) for s in itertools.product("a*?\\", repeat=n)]
    for suffix in ("a", "*", "?*", "\\", "a\\?"):
        automaton = compiled(vocabulary, suffix=suffix)
        assert taken(automaton, strings, vocabulary) == [s for s in strings if s.endswith(suffix)]


def sequences(vocab_size, longest):
    return [
        s for n in range(longest + 1) for s in itertools.product(range(1, vocab_size), repeat=n)
    ]


def decoded(vocabulary, ids):
    return vocabulary.decode(np.array(ids, dtype=np.int64), np.array([0, len(ids)]))[0]


@needs_classes
@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "the cat",
            " the cat",
            "the",
            "cat.*",
            ".* cat",
            "(the|a)( cat)*",
            ".{3}",
            "[a-z ]+",
            ".*,.*",
        ),
        *(" .*", "thethe", "the,cat", "[^ ]*", ".*t[^ ]c.*", "th.* .*", "-|a|the the|"),
    ],
)
def test_words_match_as_the_text_they_decode_to(pattern):
    automaton = compiled(WORDS, matching=pattern) if pattern[0] != " " else None
    if automaton is None:
        assert "no string of this model's words fits" in refusal(WORDS, matching=pattern)
        return
    for ids in sequences(len(WORDS), 4):
        expected = UNKNOWN not in ids and re.fullmatch(pattern, decoded(WORDS, ids))
        assert takes(automaton, ids) == bool(expected)
    require_trimmed(automaton)


@pytest.mark.parametrize("asked", [{"wildcard": "*e c*"}, {"suffix": "t"}, {"wildcard": "t??"}])
def test_words_and_wildcards(asked):
    automaton = compiled(WORDS, **asked)
    wildcard = asked.get("wildcard", "*t")
    for ids in sequences(len(WORDS), 3):
        expected = UNKNOWN not in ids and wildcard_matches(wildcard, decoded(WORDS, ids))
        assert takes(automaton, ids) == bool(expected)


def test_words_that_are_unknown_never_count_towards_a_length():
    automaton = compiled(WORDS, min_length=2)
    assert takes(automaton, [1, 1])
    assert not takes(automaton, [1])
    assert (automaton.transitions[:, UNKNOWN] == -1).all()
    require_trimmed(automaton)


@pytest.mark.parametrize("suffix", ["", "b", "bc"])
@pytest.mark.parametrize("min_length", [0, 1, 4])
@pytest.mark.parametrize("prefix", ["", "a", "ab", "abb"])
@pytest.mark.parametrize("exclude", ["", "a"])
def test_what_is_asked_for_together_holds_together(suffix, min_length, prefix, exclude):
    automaton = compiled(
        wildcard="*b*",
        suffix=suffix,
        min_length=min_length,
        prefix=ABC.encode(prefix),
        excluded=ABC.encode(exclude),
    )
    expected = [
        s
        for s in SMALL
        if "b" in s and s.endswith(suffix) and len(s) >= min_length and s.startswith(prefix)
        if not (exclude and exclude in s[len(prefix) :])
    ]
    assert taken(automaton, SMALL) == expected
    require_trimmed(automaton)


@needs_classes
def test_pattern_wildcard_and_suffix_hold_together():
    automaton = compiled(matching="[ab]*c?.*", wildcard="?b*", suffix="cb")
    expected = [s for s in SMALL if re.fullmatch("[ab]*c?.*", s) and s[1:2] == "b"]
    assert taken(automaton, SMALL) == [s for s in expected if s.endswith("cb")]


def test_nothing_asked_for_is_no_automaton():
    assert compiled() is None
    assert compiled(excluded=[1], prefix=[2]) is None


def test_the_shortest_string_may_be_as_long_as_max_length():
    assert compiled(wildcard="a??", max_length=3).shortest[0] == 3
    assert compiled(min_length=3, max_length=3).shortest.tolist() == [3, 2, 1, 0]


@needs_classes
@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "it must hold at least 1 character"),
        ("a\0", "character 2 is U+0000, which is no character of a text"),
        ("\ud800", "character 1 is U+D800, which is no character of a text"),
        (r"\x{d800}", "character 1 is U+D800, which is no character of a text"),
        (r"a\x{110000}", "character 2 stands for no character: 110000"),
        ("(?=a)b", "at character 1 it has a look-ahead, which needs more than the automaton"),
        ("a(?!b)", "at character 2 it has a look-ahead"),
        ("(?<=a)b", "at character 1 it has a look-behind"),
        ("(?<!a)b", "at character 1 it has a look-behind"),
        (r"(a)\1", "at character 4 it has a back-reference"),
        (r"(?P<x>a)(?P=x)", "at character 9 it has a back-reference"),
        (r"\bab", "at character 1 it has a word boundary"),
        ("(?>a)", "at character 1 it has an atomic group"),
        ("(?(1)a)", "at character 1 it has a condition"),
        ("(?#x)a", "at character 1 it has a comment"),
        ("(?~a)", "at character 1 it has a group of an unknown kind"),
        ("(?m)a", "the flag 'm' of (?m) at character 1 is not known; i and s are"),
        ("a^", "the anchor ^ at character 2 is not at an end of the pattern"),
        ("($a)", "the anchor $ at character 2 is not at an end of the pattern"),
        ("^*a", "the anchor ^ at character 1 is not at an end of the pattern"),
        ("(a", "the ( at character 1 has no )"),
        ("a)", "the ) at character 2 closes no group"),
        ("[a", "the [ at character 1 has no ]"),
        ("*a", r"before the * at character 1 is nothing to repeat; write \* for the character"),
        ("a**", "the quantifier at character 2 is followed by another one"),
        ("a++", "the quantifier at character 2 is followed by another one"),
        ("a{", r"the { at character 2 begins no count; write \{ for the character"),
        ("a{2,1}", "the count {2,1} ends below its begin"),
        (r"\y", r"the escape \y at character 1 is not known"),
        ("a\\", "it ends in a backslash"),
        ("[b-a]", "outlines-core cannot read its class [b-a]"),
        (r"\p{Nonsense}", r"outlines-core cannot read its class \p{Nonsense}"),
        ("(" * 51 + ")" * 51, "its groups lie 51 deep; 50 is the limit"),
        ("a" * 5000, "it has 5,000 characters; 4,096 is the limit"),
        ("a{5000}", "with its counts written out it has 5,000 characters; 4,096 is the limit"),
        ("((a{1000}){1000})", "with its counts written out it has 1,000,000 characters"),
        ("a{" + "9" * 4000 + "}", "with its counts written out it has more than 10**12 characters"),
        ("(a|b)*a(a|b){12}", "it grows past 8,000 states, the limit for this model's 3 characters"),
        ("(a|b)*a(a|b){24}", "it grows past 8,000 states"),
        ("(a|b)*a" + "[ab]" * 100, "it grows past 8,000 states"),
        (".*a.{0,3000}b.*", "it grows past 8,000 states"),
        ("(.*a.*b){500}", "the shortest string that fits has 1,000 characters"),
        ("(.?.?.?.?b?){700}c{101}", "it grows past 8,000 states"),
        ("a{101}", "the shortest string that fits has 101 characters, and max_length is 100"),
        (
            "a[x-z]é",
            "it needs one of [x-z] and 'é', which this model does not know; its 3 characters are "
            "'abc'",
        ),
        ("(?i)X", "it needs 'X', which this model does not know"),
    ],
)
def test_a_pattern_is_refused_at_once_with_the_reason(pattern, reason):
    began = time.perf_counter()
    message = refusal(matching=pattern)
    assert message.startswith(f"matching is {pattern[:20]!r}"[:25].rstrip("'"))
    assert reason in message
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"wildcard": ""}, "wildcard is ''; it must hold at least 1 character"),
        (
            {"wildcard": "a\\b"},
            r"wildcard is 'a\\b'; after the backslash, character 2, comes none of * ? \ "[:-1],
        ),
        ({"wildcard": "\0"}, "wildcard is '\\x00'; character 1 is U+0000, which is no character"),
        ({"suffix": "\udfff"}, "suffix is '\\udfff'; character 1 is U+DFFF"),
        (
            {"suffix": "xé"},
            "suffix is 'xé'; it needs 'x' and 'é', which this model does not know; its 3 "
            "characters are 'abc'",
        ),
        (
            {"wildcard": "a*b", "suffix": "c"},
            "wildcard is 'a*b' and suffix is 'c'; no string of this model's characters fits",
        ),
        (
            {"min_length": 9, "max_length": 8},
            "min_length is 9; the shortest string that fits has 9 characters, and max_length is 8",
        ),
        (
            {"wildcard": "a?", "min_length": 3},
            "wildcard is 'a?' and min_length is 3; no string of this model's characters fits",
        ),
        (
            {"wildcard": "ab*", "prefix": [1, 3]},
            "wildcard is 'ab*' and prefix is 'ac'; no string of this model's characters fits",
        ),
        (
            {"suffix": "aab", "prefix": [3, 3], "max_length": 4},
            "suffix is 'aab' and prefix is 'cc'; the shortest string that fits has 5 characters, "
            "and max_length is 4",
        ),
        (
            {"suffix": "ab", "excluded": [2, 3]},
            "suffix is 'ab' and exclude takes away 'b' and 'c'; no string of this model's "
            "characters fits",
        ),
        (
            {"min_length": 8000, "max_length": 9000},
            "min_length is 8000; it grows past 8,000 states, the limit for a model of 4 tokens",
        ),
        (
            {"wildcard": "a*b*c*a*b*c*" * 20, "min_length": 199, "max_length": 200},
            "and min_length is 199; it grows past 8,000 states, the limit for a model of 4 tokens",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(asked, message):
    found = refusal(**asked)
    assert message in found
    assert found.startswith(message) or "and min_length is 199" in message


def test_labels_are_no_part_of_what_is_asked_for():
    vocabulary = Vocabulary("ab", labels=["x", "y"])
    for asked, shortest in [({"min_length": 3}, 3), ({"matching": "a", "min_length": 1}, 1)]:
        automaton = compiled(vocabulary, **asked)
        # A label leaves each state as it is, and nothing is any shorter for it.
        states = np.arange(len(automaton.accepting))
        assert (automaton.transitions[:, 3:] == states[:, None]).all()
        assert automaton.shortest[0] == shortest
    with pytest.raises(OptionError, match="matching is 'a' and min_length is 3; no string of"):
        compiled(vocabulary, matching="a", min_length=3)


def test_a_wide_vocabulary_has_fewer_states():
    vocabulary = Vocabulary([chr(0x4E00 + i) for i in range(5000)])
    message = refusal(vocabulary, min_length=4000, max_length=5000)
    assert message == "min_length is 4000; it grows past 3,354 states, the limit for a model of " \
        "5,001 tokens"  # fmt: skip


def test_without_outlines_core_wildcards_work_and_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "outlines_core", None)
    assert refusal(matching="abc") == (
        "matching is 'abc'; regular expressions need outlines-core: "
        'pip install "makemore[patterns]"'
    )
    assert taken(compiled(wildcard="a*", suffix="bc", min_length=1), SMALL[:40]) == ["abc"]


@needs_classes
def test_what_is_as_deep_as_it_may_be_and_counts_of_nothing_are_compiled():
    assert compiled(matching="(?:(a|" * 25 + "b" + ")*b?)*" * 25).accepting.any()
    assert taken(compiled(matching="(a{0}){1000000000000}"), SMALL) == [""]
    assert len(compiled(matching="a{0,4096}").accepting) == 4097


@needs_classes
def test_a_branch_that_the_model_cannot_take_leaves_the_others():
    assert taken(compiled(matching="a|bé|[x-z]"), SMALL) == ["a"]


@needs_classes
def test_threads_compile_at_once():
    patterns = ["[a-m]+(lyn|ette)", ".*son", r"\w{3,9}", "m[aeiou]r[a-z]{2,4}"] * 8
    expected = [compiled(LETTERS, matching=pattern) for pattern in patterns]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pattern: compiled(LETTERS, matching=pattern), patterns))
    for one, other in zip(expected, found, strict=True):
        assert (one.transitions == other.transitions).all()
        assert (one.accepting == other.accepting).all()


@needs_classes
def test_five_thousand_words_take_a_moment():
    chance = random.Random(3)
    letters = LETTERS.tokens
    words = {"".join(chance.choices(letters, k=chance.randrange(1, 12))) for _ in range(6000)}
    vocabulary = WordVocabulary([f" {word}" for word in sorted(words)][:5000])
    began = time.perf_counter()
    automaton = compiled(vocabulary, matching="[a-m]+ .*(n|te)")
    assert time.perf_counter() - began < 3
    assert automaton.transitions.shape[1] == 5002
