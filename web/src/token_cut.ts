/** How a string is cut into tokens of any length: docs/artifact.md, level "token". */

import { OptionError, quoted, shown } from './errors.js';
import { type CharacterAutomaton, determinize, Positions } from './patterns/positions.js';
import { parseRegex } from './patterns/regex.js';

/** The pieces of a string from left to right; `OptionError` where none begins at a place. */
export type Cut = (text: string) => string[];

/** Of some characters, where the piece that begins at a place ends; that place where none does. */
type NewEndOf = (characters: readonly string[]) => (at: number) => number;

/** The cut into the longest of `tokens`, or into the longest texts that an expression matches. */
export function newCut(tokens: readonly string[], splitPattern: string | null): Cut {
  const newEndOf = splitPattern === null ? byLongest(tokens) : byPattern(splitPattern, tokens);
  return (text) => {
    const characters = [...text];
    const endOf = newEndOf(characters);
    const pieces: string[] = [];
    for (let at = 0; at < characters.length; ) {
      const end = endOf(at);
      if (end === at) {
        throw new OptionError(
          `${shown(text)} cannot be cut into tokens: none begins at character ${at + 1}, ` +
            quoted(characters[at]),
        );
      }
      pieces.push(characters.slice(at, end).join(''));
      at = end;
    }
    return pieces;
  };
}

function byLongest(tokens: readonly string[]): NewEndOf {
  const known = new Set(tokens);
  const lengths = [...new Set(tokens.map((token) => [...token].length))].sort((a, b) => b - a);
  return (characters) => (at) => {
    const length = lengths.find((n) => known.has(characters.slice(at, at + n).join('')));
    return at + (length ?? 0);
  };
}

/**
 * The longest match of an automaton, in time that grows with the string as its length does.
 *
 * Reps (1998), "Maximal-munch" tokenization in linear time, section 3: what was read past the end
 * of a token in vain is remembered, and not read again.
 */
function byPattern(splitPattern: string, tokens: readonly string[]): NewEndOf {
  const known = [...new Set(tokens.join(''))];
  const columns = new Map(known.map((character, column) => [character, column]));
  let automaton: CharacterAutomaton;
  try {
    automaton = determinize(new Positions(parseRegex(splitPattern)), known);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new OptionError(`split_pattern is ${shown(splitPattern)}; ${error.message}`);
  }
  const { transitions, accepting } = automaton;
  return (characters) => {
    const vain = new Set<number>(); // places and states that no match follows
    const key = (at: number, state: number) => at * accepting.length + state;
    return (at) => {
      let end = at;
      let passed: number[] = [];
      for (let i = at, state = 0; i < characters.length; ++i) {
        const column = columns.get(characters[i]);
        state = column === undefined ? -1 : transitions[state][column];
        if (state < 0 || vain.has(key(i, state))) break;
        passed.push(key(i, state));
        if (!accepting[state]) continue;
        end = i + 1;
        passed = [];
      }
      for (const each of passed) vain.add(each);
      return end;
    };
  };
}
