/** Wildcards: `*` is any run of characters, `?` any one, and `\` takes away their meaning. */

import { OptionError } from '../errors.js';
import { ANY, type Expression, Kind, literal, requireText } from './expression.js';

const ANY_RUN: Expression = { kind: Kind.Repetition, part: ANY, least: 0, most: Infinity };
const MEANING = new Map([
  ['?', ANY],
  ['*', ANY_RUN],
]);

/** What a wildcard says; `OptionError` with the reason where it says nothing. */
export function parseWildcard(wildcard: string): Expression {
  requireText(wildcard);
  if (wildcard === '') throw new OptionError('it must hold at least 1 character');
  const characters = [...wildcard];
  const parts: Expression[] = [];
  for (let at = 0; at < characters.length; ++at) {
    let character = characters[at];
    if (character === '\\') {
      at += 1;
      character = characters[at] ?? '';
      if (!['*', '?', '\\'].includes(character)) {
        throw new OptionError(`after the backslash, character ${at}, comes none of * ? \\`);
      }
      parts.push(literal(character));
    } else {
      parts.push(MEANING.get(character) ?? literal(character));
    }
  }
  return { kind: Kind.Concatenation, parts };
}

/** The wildcard `*` and then `suffix`, each of its characters as it is. */
export function parseSuffix(suffix: string): Expression {
  requireText(suffix);
  return { kind: Kind.Concatenation, parts: [ANY_RUN, ...Array.from(suffix, literal)] };
}
