/** A text that is read from left to right, and the escapes of regular expressions. */

import { OptionError } from '../errors.js';
import type { CharacterSet } from './expression.js';
import { requireText } from './expression.js';

const CONTROLS: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\x07',
};

/** What `\d`, `\s` and `\w` stand for in the syntax of Rust's regex crate: Unicode's. */
const PERL: Record<string, string> = {
  d: '\\p{Nd}',
  s: '\\p{White_Space}',
  w: '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}',
};

/** A property of Unicode, the digits of a code point in four forms, or another character. */
const ESCAPE =
  /\\(?:([pP](?:\{[^}]*\}|[^{]))|[xu]\{([\dA-Fa-f]{1,6})\}|x([\dA-Fa-f]{2})|u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|(.))/suy;

/** What an escape stands for: one character, or a class. */
export type Escape = { readonly character: string } | { readonly set: CharacterSet };

export class Scanner {
  at = 0;
  ignoresCase = false;

  constructor(readonly text: string) {}

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The number of the character at a place, from 1, as people count them. */
  ordinal(place = this.at): number {
    return [...this.text.slice(0, place)].length + 1;
  }

  /** The character that comes next; "" at the end. */
  peek(): string {
    return this.atEnd ? '' : String.fromCodePoint(this.text.codePointAt(this.at) ?? 0);
  }

  startsWith(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }

  /** What a sticky expression matches here, which is not yet read. */
  match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.at;
    return expression.exec(this.text);
  }

  /** Reads one character. */
  take(): string {
    const character = this.peek();
    this.at += character.length;
    return character;
  }

  /** Reads an escape, which begins here. */
  escape(): Escape {
    const match = this.match(ESCAPE);
    if (match === null) throw new OptionError('it ends in a backslash');
    const [, property, ...codes] = match;
    const other = codes.pop() ?? '';
    const code = codes.find((each) => each !== undefined);
    if (code !== undefined) return this.read(match, { character: this.codePoint(code) });
    if (property !== undefined) return this.read(match, { set: this.property(property) });
    if (Object.hasOwn(CONTROLS, other)) return this.read(match, { character: CONTROLS[other] });
    const perl = PERL[other.toLowerCase()];
    if (perl !== undefined) {
      const set = this.unicode(match[0], perl, other === other.toUpperCase());
      return this.read(match, { set });
    }
    if ('bB<>'.includes(other)) throw this.beyond('a word boundary');
    if ('123456789kg'.includes(other)) throw this.beyond('a back-reference');
    if (/[0-9A-Za-z]/.test(other)) {
      throw new OptionError(`the escape ${match[0]} at character ${this.ordinal()} is not known`);
    }
    return this.read(match, { character: other });
  }

  /** One character, or, where case does not matter, all that differ from it in case alone. */
  literal(character: string): CharacterSet {
    if (!this.ignoresCase) return { name: character, holds: (each) => each === character };
    const code = character.codePointAt(0)?.toString(16);
    return { ...this.unicode(character, `\\u{${code}}`, false), name: character };
  }

  /** The characters of a class in JavaScript's syntax that is without brackets. */
  unicode(name: string, members: string, negated: boolean): CharacterSet {
    let expression: RegExp;
    try {
      expression = new RegExp(`^[${members}]$`, this.ignoresCase ? 'iu' : 'u');
    } catch {
      throw new OptionError(`the class ${name} at character ${this.ordinal()} is not known here`);
    }
    return { name, holds: (character) => expression.test(character) !== negated };
  }

  /** That it has what no automaton can do. */
  beyond(what: string): OptionError {
    return new OptionError(
      `at character ${this.ordinal()} it has ${what}, which needs more than the automaton that ` +
        'patterns are compiled to',
    );
  }

  private read(match: RegExpExecArray, found: Escape): Escape {
    this.at += match[0].length;
    return found;
  }

  /** `p{L}`, `pL` and their negations. A name that is none of JavaScript's may be a script. */
  private property(text: string): CharacterSet {
    const name = text.slice(1).replace(/^\{|\}$/g, '');
    const negated = text[0] === 'P';
    try {
      return this.unicode(`\\${text}`, `\\p{${name}}`, negated);
    } catch {
      return this.unicode(`\\${text}`, `\\p{Script=${name}}`, negated);
    }
  }

  private codePoint(digits: string): string {
    const code = Number.parseInt(digits, 16);
    if (code > 0x10ffff) {
      throw new OptionError(`character ${this.ordinal()} stands for no character: ${digits}`);
    }
    const character = String.fromCodePoint(code);
    requireText(character);
    return character;
  }
}
