/** Regular expressions, in the syntax of Rust's regex crate as far as automata know it. */

import { OptionError } from '../errors.js';
import { parseClass } from './classes.js';
import { ANY, type CharacterSet, type Expression, Kind, requireText } from './expression.js';
import { Scanner } from './scanner.js';

/** Most groups inside each other. */
const MAX_DEPTH = 50;

const COUNT = /\{ *(\d*) *(,?) *(\d*) *\}/y;
const NAMED = /\(\?P?<[\p{L}\p{N}_]+>/uy;
const FLAGS = /\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])/y;
const ANCHOR = /\^|\$|\\[AzZ]/y;
const KINDS: Record<string, string> = {
  '(?=': 'a look-ahead',
  '(?!': 'a look-ahead',
  '(?<=': 'a look-behind',
  '(?<!': 'a look-behind',
  '(?P=': 'a back-reference',
  '(?>': 'an atomic group',
  '(?(': 'a condition',
  '(?#': 'a comment',
};
const SIMPLE: Record<string, readonly [number, number]> = {
  '*': [0, Infinity],
  '+': [1, Infinity],
  '?': [0, 1],
};
const NOT_NEWLINE: CharacterSet = { name: '[^\\n]', holds: (character) => character !== '\n' };

/**
 * What a regular expression says that must match a whole string.
 *
 * It may hold literals, `.`, classes, groups, `|`, the quantifiers `*`, `+`, `?` and `{m,n}`, the
 * flags `i` and `s`, and anchors at its two ends, where they change nothing. `OptionError` with the
 * reason for anything else.
 */
export function parseRegex(pattern: string): Expression {
  requireText(pattern);
  if (pattern === '') throw new OptionError('it must hold at least 1 character');
  const parser = new Parser(pattern);
  const expression = parser.alternation();
  if (!parser.scanner.atEnd) {
    throw new OptionError(`the ) at character ${parser.scanner.ordinal()} closes no group`);
  }
  return expression;
}

/** Recursive descent: a method per rule of the grammar. */
class Parser {
  readonly scanner: Scanner;
  private depth = 0;
  private dotAll = false;

  constructor(pattern: string) {
    this.scanner = new Scanner(pattern);
  }

  alternation(): Expression {
    const parts = [this.concatenation()];
    while (this.scanner.peek() === '|') {
      this.scanner.take();
      parts.push(this.concatenation());
    }
    return parts.length === 1 ? parts[0] : { kind: Kind.Alternation, parts };
  }

  private concatenation(): Expression {
    const parts: Expression[] = [];
    while (!['', '|', ')'].includes(this.scanner.peek())) {
      if (this.skipAnchor(parts.length === 0) || this.setFlags()) continue;
      parts.push(this.quantified(this.single()));
    }
    return parts.length === 1 ? parts[0] : { kind: Kind.Concatenation, parts };
  }

  /** Reads an anchor at an end of the whole pattern, where it says what holds anyway. */
  private skipAnchor(first: boolean): boolean {
    const { scanner } = this;
    const match = scanner.match(ANCHOR);
    if (match === null) return false;
    const [anchor] = match;
    const after = scanner.text[scanner.at + anchor.length] ?? '';
    const atBegin = anchor === '^' || anchor === '\\A';
    const holds = atBegin ? first : ['', '|', '$'].includes(after);
    if (this.depth > 0 || !holds || '*+?{'.includes(after || ' ')) {
      throw new OptionError(
        `the anchor ${anchor} at character ${scanner.ordinal()} is not at an end of the pattern; ` +
          'the whole string must match in any case',
      );
    }
    scanner.at += anchor.length;
    return true;
  }

  /** Reads flags that hold from here to the end of the group, as in `(?i)`. */
  private setFlags(): boolean {
    const match = this.scanner.match(FLAGS);
    if (match === null || match[3] === ':') return false;
    this.applyFlags(match);
    return true;
  }

  private applyFlags([text, on, off = '']: RegExpExecArray): void {
    const unknown = [...on, ...off].sort().find((flag) => !'is'.includes(flag));
    if (unknown !== undefined) {
      throw new OptionError(
        `the flag '${unknown}' of ${text} at character ${this.scanner.ordinal()} is not known; ` +
          'i and s are',
      );
    }
    const isOn = (flag: string, before: boolean) =>
      (before || on.includes(flag)) && !off.includes(flag);
    this.scanner.ignoresCase = isOn('i', this.scanner.ignoresCase);
    this.dotAll = isOn('s', this.dotAll);
    this.scanner.at += text.length;
  }

  private quantified(part: Expression): Expression {
    const start = this.scanner.ordinal();
    const bounds = this.quantifier();
    if (bounds === undefined) return part;
    // As few as possible: the strings that match are the same.
    if (this.scanner.peek() === '?') this.scanner.take();
    if ('*+?{'.includes(this.scanner.peek() || ' ')) {
      throw new OptionError(
        `the quantifier at character ${start} is followed by another one; ` +
          'write a group between them',
      );
    }
    return { kind: Kind.Repetition, part, least: bounds[0], most: bounds[1] };
  }

  private quantifier(): readonly [number, number] | undefined {
    const { scanner } = this;
    const simple = SIMPLE[scanner.peek()];
    if (simple !== undefined) {
      scanner.take();
      return simple;
    }
    if (scanner.peek() !== '{') return undefined;
    const match = scanner.match(COUNT);
    if (match === null || (match[1] === '' && match[3] === '')) {
      throw new OptionError(
        `the { at character ${scanner.ordinal()} begins no count; write \\{ for the character`,
      );
    }
    const least = Number(match[1]);
    const most = match[2] === '' ? least : match[3] === '' ? Infinity : Number(match[3]);
    if (most < least) throw new OptionError(`the count ${match[0]} ends below its begin`);
    scanner.at += match[0].length;
    return [least, most];
  }

  /** Reads a group, a class, an escape or a literal. */
  private single(): Expression {
    const { scanner } = this;
    const character = scanner.peek();
    if (character === '(') return this.group();
    if (character === '[') return reading(parseClass(scanner));
    if (character === '\\') {
      const found = scanner.escape();
      return reading('set' in found ? found.set : scanner.literal(found.character));
    }
    if ('*+?{'.includes(character)) {
      throw new OptionError(
        `before the ${character} at character ${scanner.ordinal()} is nothing to repeat; ` +
          `write \\${character} for the character`,
      );
    }
    scanner.take();
    if (character === '.') return this.dotAll ? ANY : reading(NOT_NEWLINE);
    return reading(scanner.literal(character));
  }

  private group(): Expression {
    const { scanner } = this;
    const start = scanner.ordinal();
    const outer = [scanner.ignoresCase, this.dotAll] as const;
    this.openGroup();
    this.depth += 1;
    if (this.depth > MAX_DEPTH) {
      throw new OptionError(`its groups lie ${this.depth} deep; ${MAX_DEPTH} is the limit`);
    }
    const expression = this.alternation();
    if (scanner.atEnd) throw new OptionError(`the ( at character ${start} has no )`);
    scanner.take();
    this.depth -= 1;
    [scanner.ignoresCase, this.dotAll] = outer;
    return expression;
  }

  private openGroup(): void {
    const { scanner } = this;
    const named = scanner.match(NAMED);
    const flags = scanner.match(FLAGS);
    if (named !== null) {
      scanner.at += named[0].length;
    } else if (flags !== null) {
      this.applyFlags(flags);
    } else if (scanner.startsWith('(?')) {
      const kind = Object.keys(KINDS).find((opens) => scanner.startsWith(opens));
      throw scanner.beyond(kind === undefined ? 'a group of an unknown kind' : KINDS[kind]);
    } else {
      scanner.take();
    }
  }
}

function reading(reads: CharacterSet): Expression {
  return { kind: Kind.Character, reads };
}
