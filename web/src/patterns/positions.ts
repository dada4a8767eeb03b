/**
 * From an expression to an automaton over characters: Glushkov's positions, then their sets.
 *
 * Every character of an expression, its counts written out, is a position. Which positions may
 * follow which makes a nondeterministic automaton, all of whose moves into a position read the same
 * (Glushkov, 1961). Sets of positions are bits of one number; sets after which the same may follow
 * are one state.
 */

import { grouped, OptionError } from '../errors.js';
import { MAX_STATES, MAX_TRANSITIONS } from './automaton.js';
import { type CharacterSet, type Expression, Kind, writtenOut } from './expression.js';

/** What a part of an expression may begin with and end with, as sets of positions. */
interface Part {
  readonly empty: boolean;
  readonly first: bigint;
  readonly last: bigint;
}

const EMPTY: Part = { empty: true, first: 0n, last: 0n };

/** The positions of an expression. Position 0 is before the text and reads nothing. */
export class Positions {
  readonly reads: (CharacterSet | undefined)[] = [undefined];
  readonly follow: bigint[] = [0n];
  readonly accepting: bigint;

  constructor(expression: Expression) {
    writtenOut(expression);
    const whole = this.add(expression);
    this.follow[0] = whole.first;
    this.accepting = whole.last | (whole.empty ? 1n : 0n);
  }

  private add(expression: Expression): Part {
    if (expression.kind === Kind.Character) {
      const bit = 1n << BigInt(this.reads.length);
      this.reads.push(expression.reads);
      this.follow.push(0n);
      return { empty: false, first: bit, last: bit };
    }
    if (expression.kind === Kind.Repetition) {
      return this.repeated(expression.part, expression.least, expression.most);
    }
    const parts = expression.parts.map((part) => this.add(part));
    if (expression.kind === Kind.Concatenation) return this.joined(parts);
    return {
      empty: parts.some((part) => part.empty),
      first: parts.reduce((all, { first }) => all | first, 0n),
      last: parts.reduce((all, { last }) => all | last, 0n),
    };
  }

  private repeated(expression: Expression, least: number, most: number): Part {
    if (writtenOut(expression) === 0 || most === 0) return EMPTY;
    const copies = (count: number) => Array.from({ length: count }, () => this.add(expression));
    const needed = copies(least);
    if (most === Infinity) {
      const loop = needed.pop() ?? this.add(expression);
      this.link(loop, loop);
      return this.joined([...needed, least > 0 ? loop : optional(loop)]);
    }
    // x{0,3} as (x(x(x)?)?)?: a copy is followed by the next one alone.
    let tail = EMPTY;
    for (const copy of copies(most - least).reverse()) tail = optional(this.joined([copy, tail]));
    return this.joined([...needed, tail]);
  }

  /** Parts one after the other, from the right, so that each position is linked once. */
  private joined(parts: readonly Part[]): Part {
    let joined = EMPTY;
    for (const part of [...parts].reverse()) {
      this.link(part, joined);
      joined = {
        empty: part.empty && joined.empty,
        first: part.first | (part.empty ? joined.first : 0n),
        last: joined.last | (joined.empty ? part.last : 0n),
      };
    }
    return joined;
  }

  private link(part: Part, after: Part): void {
    if (after.first === 0n) return;
    for (const position of bitsOf(part.last)) this.follow[position] |= after.first;
  }
}

function optional({ first, last }: Part): Part {
  return { empty: true, first, last };
}

/** The numbers of the bits that are set. */
function* bitsOf(set: bigint): Generator<number> {
  const digits = set.toString(2);
  for (let at = digits.indexOf('1'); at >= 0; at = digits.indexOf('1', at + 1)) {
    yield digits.length - 1 - at;
  }
}

/** A deterministic automaton over C characters; state 0 is the start, -1 the dead one. */
export interface CharacterAutomaton {
  /** (S, C) the state after each character. */
  readonly transitions: readonly Int32Array[];
  readonly accepting: readonly boolean[];
}

/** The sets of positions that texts lead to, each a state. `OptionError` for too many. */
export function determinize(
  positions: Positions,
  characters: readonly string[],
): CharacterAutomaton {
  const { columns, readers } = columnsOf(positions, characters);
  const most = Math.min(MAX_STATES, Math.floor(MAX_TRANSITIONS / Math.max(characters.length, 1)));
  const followers = new Followers(positions.follow);
  const numbers = new Map<bigint, number>([[0n, -1]]); // of what may follow, and whether it accepts
  const numberOf = new Map<bigint, number>(); // of each set of positions that was come to
  const states: { readonly follow: bigint; readonly accepts: boolean }[] = [];
  const number = (reached: bigint): number => {
    let found = numberOf.get(reached);
    if (found !== undefined) return found;
    const follow = followers.of(reached);
    const accepts = (reached & positions.accepting) !== 0n;
    const key = follow * 2n + (accepts ? 1n : 0n);
    found = numbers.get(key) ?? states.length;
    if (found === states.length) {
      if (found >= most) {
        throw new OptionError(
          `it grows past ${grouped(most)} states, the limit for this model's ` +
            `${grouped(characters.length)} characters`,
        );
      }
      numbers.set(key, found);
      states.push({ follow, accepts });
    }
    numberOf.set(reached, found);
    return found;
  };
  number(1n);
  const transitions: Int32Array[] = [];
  for (let state = 0; state < states.length; ++state) {
    const row = readers.map((reader) => number(states[state].follow & reader));
    transitions.push(Int32Array.from(columns, (column) => row[column]));
  }
  return { transitions, accepting: states.map(({ accepts }) => accepts) };
}

/** Of each character its column, and of each column the positions that read its characters. */
function columnsOf(positions: Positions, characters: readonly string[]) {
  const columnOf = new Map<bigint, number>();
  const columns = characters.map((character) => {
    let reader = 0n;
    const digits = positions.reads.map((set) => (set?.holds(character) ? '1' : '0'));
    reader = BigInt(`0b${digits.reverse().join('')}`);
    const column = columnOf.get(reader) ?? columnOf.size;
    columnOf.set(reader, column);
    return column;
  });
  return { columns, readers: [...columnOf.keys()] };
}

/** The positions that may follow those of a set, looked up four at a time. */
class Followers {
  private readonly known = new Map<string, bigint>();

  constructor(private readonly follow: readonly bigint[]) {}

  of(set: bigint): bigint {
    const digits = set.toString(16);
    let follow = 0n;
    for (let i = 0; i < digits.length; ++i) {
      if (digits[i] !== '0') follow |= this.ofDigit(digits[i], digits.length - 1 - i);
    }
    return follow;
  }

  private ofDigit(digit: string, place: number): bigint {
    const key = digit + place;
    let found = this.known.get(key);
    if (found === undefined) {
      found = 0n;
      for (const bit of bitsOf(BigInt(`0x${digit}`))) found |= this.follow[4 * place + bit];
      this.known.set(key, found);
    }
    return found;
  }
}
