/** Classes of characters, `[a-z&&[^aeiou]]`, in the syntax of Rust's regex crate. */

import { OptionError } from '../errors.js';
import type { CharacterSet } from './expression.js';
import type { Scanner } from './scanner.js';

const POSIX: Record<string, string> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\u{0}-\\u{7f}',
  blank: '\\t ',
  cntrl: '\\u{0}-\\u{1f}\\u{7f}',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t-\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};
const ESCAPED_BEYOND_ASCII = /\\\P{ASCII}/uy;
const POSIX_CLASS = /\[:(\^?)([a-z]+):\]/y;

type Holds = (character: string) => boolean;

/** How two sides of an operator are put together. */
const OPERATORS: Record<string, (left: boolean, right: boolean) => boolean> = {
  '&&': (left, right) => left && right,
  '--': (left, right) => left && !right,
  '~~': (left, right) => left !== right,
};

/** Reads a class, which begins at the next character, a `[`. */
export function parseClass(scanner: Scanner): CharacterSet {
  const begin = scanner.at;
  const holds = parseSet(scanner);
  return { name: scanner.text.slice(begin, scanner.at), holds };
}

function parseSet(scanner: Scanner): Holds {
  const begin = scanner.ordinal();
  scanner.take();
  const negated = scanner.peek() === '^';
  if (negated) scanner.take();
  let items: Holds[] = [];
  while (scanner.peek() === '-') items.push(scanner.literal(scanner.take()).holds);
  if (items.length === 0 && scanner.peek() === ']') {
    items.push(scanner.literal(scanner.take()).holds);
  }
  let left: Holds | undefined;
  let operator = '';
  const joined = () => {
    const right = union(items);
    return left === undefined ? right : combined(left, operator, right);
  };
  while (scanner.peek() !== ']') {
    if (scanner.atEnd) throw new OptionError(`the [ at character ${begin} has no ]`);
    const found = Object.keys(OPERATORS).find((each) => scanner.startsWith(each));
    if (found === undefined) {
      items.push(parseItem(scanner));
      continue;
    }
    left = joined();
    operator = found;
    items = [];
    scanner.at += found.length;
  }
  scanner.take();
  const holds = joined();
  return (character) => holds(character) !== negated;
}

function union(items: readonly Holds[]): Holds {
  return (character) => items.some((holds) => holds(character));
}

function combined(left: Holds, operator: string, right: Holds): Holds {
  return (character) => OPERATORS[operator](left(character), right(character));
}

/** Reads a class inside, a range, an escape or a character. */
function parseItem(scanner: Scanner): Holds {
  const posix = scanner.match(POSIX_CLASS);
  if (posix !== null && Object.hasOwn(POSIX, posix[2])) {
    const { holds } = scanner.unicode(posix[0], POSIX[posix[2]], posix[1] === '^');
    scanner.at += posix[0].length;
    return holds;
  }
  if (scanner.peek() === '[') return parseSet(scanner);
  const begin = scanner.at;
  const first = parseMember(scanner);
  const after = scanner.text[scanner.at + 1];
  if (scanner.peek() !== '-' || after === ']' || after === '-' || after === undefined) {
    return typeof first === 'string' ? scanner.literal(first).holds : first;
  }
  scanner.take();
  const last = parseMember(scanner);
  const range = scanner.text.slice(begin, scanner.at);
  if (typeof first !== 'string' || typeof last !== 'string' || code(first) > code(last)) {
    throw new OptionError(`${range} at character ${scanner.ordinal(begin)} is no range`);
  }
  const [from, to] = [first, last].map((each) => `\\u{${code(each).toString(16)}}`);
  return scanner.unicode(range, `${from}-${to}`, false).holds;
}

/** One character, as it stands or by an escape, or the class of an escape. */
function parseMember(scanner: Scanner): string | Holds {
  if (scanner.peek() !== '\\') return scanner.take();
  if (scanner.match(ESCAPED_BEYOND_ASCII) !== null) {
    throw new OptionError(`in the class at character ${scanner.ordinal()} is an unknown escape`);
  }
  const found = scanner.escape();
  return 'set' in found ? found.set.holds : found.character;
}

function code(character: string): number {
  return character.codePointAt(0) ?? 0;
}
