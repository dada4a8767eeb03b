/** How a string is cut into tokens of any length: docs/artifact.md, level "token". */

import { OptionError, quoted, shown } from './errors.js';

/** The pieces of a string from left to right; `OptionError` where none begins at a place. */
export type Cut = (text: string) => string[];

/** Where the piece that begins at a place of some characters ends; that place where none does. */
type EndOf = (characters: readonly string[], at: number) => number;

/** The cut into the longest of `tokens`, or into the longest texts that an expression matches. */
export function newCut(tokens: readonly string[], splitPattern: string | null): Cut {
  if (splitPattern !== null) throw new OptionError('split_pattern is not read yet');
  const endOf = byLongest(tokens);
  return (text) => {
    const characters = [...text];
    const pieces: string[] = [];
    for (let at = 0; at < characters.length; ) {
      const end = endOf(characters, at);
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

function byLongest(tokens: readonly string[]): EndOf {
  const known = new Set(tokens);
  const lengths = [...new Set(tokens.map((token) => [...token].length))].sort((a, b) => b - a);
  return (characters, at) => {
    const length = lengths.find((n) => known.has(characters.slice(at, at + n).join('')));
    return at + (length ?? 0);
  };
}
