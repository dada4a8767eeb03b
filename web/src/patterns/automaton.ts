/** A deterministic automaton over the tokens of a model, and what is made of two. */

import { grouped, OptionError } from '../errors.js';
import type { RowFilter } from '../row_filter.js';

/** Most states of an automaton. */
export const MAX_STATES = 8_000;

/** Most transitions of an automaton, states times tokens. */
export const MAX_TRANSITIONS = 2 ** 24;

/** What `shortest` holds for a state that no acceptance is reached from. */
export const UNREACHABLE = 2 ** 30;

const DEAD = -1;

/**
 * Which strings are wanted, read token by token. State 0 is the start.
 *
 * transitions: (S, V) the state after one more token, -1 where no wanted string goes on so; the
 * stop token's is never read. accepting: (S,) whether the text so far is a wanted string.
 */
export class TokenAutomaton implements RowFilter {
  private distances: Int32Array | undefined;

  constructor(
    readonly transitions: readonly Int32Array[],
    readonly accepting: readonly boolean[],
    private readonly vocabSize: number,
  ) {}

  /** All strings of at least `length` tokens: a chain. */
  static atLeast(length: number, vocabSize: number): TokenAutomaton {
    requireStates(length + 1, vocabSize);
    const states = Array.from({ length: length + 1 }, (_, state) => state);
    const transitions = states.map((state) => {
      const row = new Int32Array(vocabSize).fill(Math.min(state + 1, length));
      row[0] = DEAD;
      return row;
    });
    return new TokenAutomaton(
      transitions,
      states.map((state) => state === length),
      vocabSize,
    );
  }

  next(state: number, token: number): number {
    return state === DEAD || token === 0 ? state : this.transitions[state][token];
  }

  canPass(state: number, most: number): boolean {
    return state !== DEAD && this.shortest[state] <= most;
  }

  /** (S,) fewest tokens from each state to an accepting one; `UNREACHABLE` where none is. */
  get shortest(): Int32Array {
    this.distances ??= this.distancesToAcceptance();
    return this.distances;
  }

  /** The same strings without transitions, or states, that lead to none of them. */
  trimmed(): TokenAutomaton {
    const alive = (state: number) => state >= 0 && this.shortest[state] < UNREACHABLE;
    const rows = (state: number) => this.transitions[state].map((to) => (alive(to) ? to : DEAD));
    const [states, transitions] = explore(0, rows, this.vocabSize);
    return new TokenAutomaton(
      transitions,
      states.map((state) => this.accepting[state]),
      this.vocabSize,
    );
  }

  /** The strings that both want, trimmed. `OptionError` beyond the limits. */
  intersection(other: TokenAutomaton): TokenAutomaton {
    const size = other.accepting.length;
    const rows = (pair: number) => {
      const theirs = other.transitions[pair % size];
      return this.transitions[Math.floor(pair / size)].map((ours, token) =>
        ours < 0 || theirs[token] < 0 ? DEAD : ours * size + theirs[token],
      );
    };
    const [pairs, transitions] = explore(0, rows, this.vocabSize);
    const accepting = pairs.map(
      (pair) => this.accepting[Math.floor(pair / size)] && other.accepting[pair % size],
    );
    return new TokenAutomaton(transitions, accepting, this.vocabSize).trimmed();
  }

  /** The strings that begin with some tokens: a chain to the state that those lead to. */
  beginningWith(prefix: readonly number[]): TokenAutomaton {
    const length = prefix.length;
    requireStates(this.accepting.length + length, this.vocabSize);
    const chain = prefix.map((token, at) => {
      const row = new Int32Array(this.vocabSize).fill(DEAD);
      row[token] = at + 1;
      return row;
    });
    const end = prefix.reduce((state, token) => this.next(state, token), 0);
    if (end === DEAD) chain[0].fill(DEAD);
    else chain[length - 1][prefix[length - 1]] = length + end;
    const whole = this.transitions.map((row) => row.map((to) => (to < 0 ? DEAD : to + length)));
    const accepting = [...prefix.map(() => false), ...this.accepting];
    return new TokenAutomaton([...chain, ...whole], accepting, this.vocabSize).trimmed();
  }

  /** The strings that hold none of some tokens after the first `after`, trimmed. */
  without(tokens: readonly number[], after: number): TokenAutomaton {
    const transitions = this.transitions.map((row, state) => {
      if (state < after) return row;
      const left = row.slice();
      for (const token of tokens) left[token] = DEAD;
      return left;
    });
    return new TokenAutomaton(transitions, this.accepting, this.vocabSize).trimmed();
  }

  /** The same strings with a label before, which is no part of their text. */
  withLabels(firstLabel: number): TokenAutomaton {
    const transitions = this.transitions.map((row, state) => row.slice().fill(state, firstLabel));
    return new TokenAutomaton(transitions, this.accepting, this.vocabSize);
  }

  /** Breadth-first search, backwards from the accepting states. */
  private distancesToAcceptance(): Int32Array {
    const before: number[][] = this.accepting.map(() => []);
    this.transitions.forEach((row, from) => {
      for (let token = 1; token < this.vocabSize; ++token) {
        const into = row[token] < 0 ? undefined : before[row[token]];
        if (into !== undefined && into[into.length - 1] !== from) into.push(from);
      }
    });
    const distances = new Int32Array(this.accepting.length).fill(UNREACHABLE);
    const reached: number[] = [];
    this.accepting.forEach((accepts, state) => {
      if (!accepts) return;
      distances[state] = 0;
      reached.push(state);
    });
    for (const to of reached) {
      for (const from of before[to]) {
        if (distances[from] !== UNREACHABLE) continue;
        distances[from] = distances[to] + 1;
        reached.push(from);
      }
    }
    return distances;
  }
}

/**
 * Numbers what is reached from `start`, breadth first, and tabulates it. `rows` gives the keys (V,)
 * that follow a key, -1 for a dead one. Returns the keys, `start` first, and their transitions.
 */
export function explore(
  start: number,
  rows: (key: number) => ArrayLike<number>,
  vocabSize: number,
): [keys: number[], transitions: Int32Array[]] {
  const keys = [start];
  const numbers = new Map([[start, 0]]);
  const transitions: Int32Array[] = [];
  for (const key of keys) {
    const after = rows(key);
    const row = new Int32Array(vocabSize).fill(DEAD);
    for (let token = 1; token < vocabSize; ++token) {
      if (after[token] < 0) continue;
      let found = numbers.get(after[token]);
      if (found === undefined) {
        found = keys.length;
        numbers.set(after[token], found);
        keys.push(after[token]);
        requireStates(keys.length, vocabSize);
      }
      row[token] = found;
    }
    transitions.push(row);
  }
  return [keys, transitions];
}

/** `OptionError` for an automaton of too many states, or of too many transitions. */
function requireStates(states: number, vocabSize: number): void {
  const most = Math.min(MAX_STATES, Math.floor(MAX_TRANSITIONS / vocabSize));
  if (states <= most) return;
  throw new OptionError(
    `it grows past ${grouped(most)} states, ` +
      `the limit for a model of ${grouped(vocabSize)} tokens`,
  );
}
