/** What a pattern says, before any automaton: characters, one after the other, or, and repeated. */

import { grouped, OptionError } from '../errors.js';

/** Most characters of a pattern, and of what it says with its counts written out. */
const MAX_LENGTH = 4096;

/** Some characters, and what they are called in a message. */
export interface CharacterSet {
  readonly name: string;
  holds(character: string): boolean;
}

export enum Kind {
  Character,
  Concatenation,
  Alternation,
  Repetition,
}

export type Expression =
  | { readonly kind: Kind.Character; readonly reads: CharacterSet }
  | { readonly kind: Kind.Concatenation; readonly parts: readonly Expression[] }
  | { readonly kind: Kind.Alternation; readonly parts: readonly Expression[] }
  | {
      readonly kind: Kind.Repetition;
      readonly part: Expression;
      readonly least: number;
      readonly most: number;
    };

/** Reads any character. */
export const ANY: Expression = { kind: Kind.Character, reads: { name: 'any', holds: () => true } };

/** Reads one certain character. */
export function literal(character: string): Expression {
  return { kind: Kind.Character, reads: { name: character, holds: (each) => each === character } };
}

/** Characters that it reads with its counts written out; `OptionError` above the limit. */
export function writtenOut(expression: Expression): number {
  if (expression.kind === Kind.Character) return 1;
  let size = 0;
  if (expression.kind === Kind.Repetition) {
    const { part, least, most } = expression;
    size = writtenOut(part) * (most === Infinity ? Math.max(least, 1) : most);
  } else {
    for (const part of expression.parts) size += writtenOut(part);
  }
  if (size > MAX_LENGTH) {
    const found = size < 1e12 ? grouped(size) : 'more than 10**12';
    throw new OptionError(
      `with its counts written out it has ${found} characters; ${grouped(MAX_LENGTH)} is the limit`,
    );
  }
  return size;
}

/** `OptionError` for what no pattern may hold, or for too much of it. */
export function requireText(text: string): void {
  const characters = [...text];
  if (characters.length > MAX_LENGTH) {
    throw new OptionError(
      `it has ${grouped(characters.length)} characters; ${grouped(MAX_LENGTH)} is the limit`,
    );
  }
  characters.forEach((character, i) => {
    if (character !== '\0' && !/^\p{Cs}$/u.test(character)) return;
    const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    throw new OptionError(`character ${i + 1} is U+${code}, which is no character of a text`);
  });
}
