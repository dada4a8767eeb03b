"""All strings of a small model and their probabilities, from its definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import stats


def all_strings(tiny, max_length, *, temperature=1.0):
    """{text: probability} of every string, those cut at `max_length` among them."""
    found = Counter()
    level = {(): 1.0}
    for length in range(max_length + 1):
        longer = {}
        for ids, probability in level.items():
            if length == max_length:
                found[tiny.decode(ids)] += probability
                continue
            for token, share in enumerate(next_probabilities(tiny, ids, temperature)):
                if share == 0:
                    continue
                if token == 0:
                    found[tiny.decode(ids)] += probability * share
                else:
                    longer[(*ids, token)] = probability * share
        level = longer
    return dict(found)


def next_probabilities(tiny, ids, temperature=1.0):
    logits = np.asarray(tiny.logits(list(ids)), np.float64) / temperature
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def given(strings, passes):
    """The probabilities of those that pass, given that they do."""
    kept = {text: p for text, p in strings.items() if passes(text)}
    total = sum(kept.values())
    return {text: p / total for text, p in kept.items()}


def p_value(made, exact):
    """Of a chi-square test of whole strings; those expected fewer than 10 times are one cell."""
    counts, n = Counter(made), len(made)
    if any(text not in exact for text in counts):
        return 0.0
    usual = {text: p for text, p in exact.items() if p * n >= 10}
    observed = [counts[text] for text in usual]
    expected = [p * n for p in usual.values()]
    rare = n - sum(expected)
    if rare >= 10:
        observed.append(n - sum(observed))
        expected.append(rare)
    else:  # too few for a cell of their own
        expected = [p * sum(observed) / sum(expected) for p in expected]
    return stats.chisquare(observed, expected).pvalue


def strings_of(sampler, max_length, *, most=3000):
    """{text: probability} of the likeliest strings of an artifact, from its own step: prefixes are
    followed while the strings that begin with them are likelier than 1 in `most`.
    """
    found = {}
    level = [((), 1.0)]
    for length in range(max_length):
        longer = []
        for ids, probability in level:
            step = sampler.new_step()
            step.reset(1)
            for position, token in enumerate((0, *ids)):
                logits = step.run(np.array([token]), np.array([position]))
            weights = np.exp(np.asarray(logits[0], np.float64) - np.max(logits))
            for token, share in enumerate(weights / weights.sum()):
                p = probability * share
                if p * most < 1:
                    continue
                if token == 0:
                    found[ids] = p
                elif length + 1 == max_length:
                    found[(*ids, token)] = p
                else:
                    longer.append(((*ids, token), p))
        level = longer
    return {"".join(sampler.vocabulary.tokens[i - 1] for i in ids): p for ids, p in found.items()}


def p_value_of_some(made, exact):
    """Of a chi-square test of some strings, all others one cell."""
    counts, n = Counter(made), len(made)
    usual = {text: p for text, p in exact.items() if p * n >= 10}
    observed = [counts[text] for text in usual]
    expected = [p * n for p in usual.values()]
    observed.append(n - sum(observed))
    expected.append(n - sum(expected))
    return stats.chisquare(observed, expected).pvalue
