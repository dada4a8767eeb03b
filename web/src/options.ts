/** The options of sampling: those of Python by the same names, with their defaults and limits. */

import { OptionError, shown } from './errors.js';

/** How a token is drawn. What changes the distribution works in the order in which it is here. */
export interface DrawOptions {
  /** Makes tokens less likely that the string holds already; meant for words. [1] */
  penalty?: number;
  /** Characters, or words, that are never made. [""] */
  exclude?: string;
  /** Lower is safer; 0 takes the likeliest token each time. [1] */
  temperature?: number;
  /** Keep the k likeliest tokens; 0 keeps all. [0] */
  topK?: number;
  /** Keep the smallest set of tokens whose mass is at least p. [1] */
  topP?: number;
  /** Keep tokens at least p times as likely as the likeliest. [0] */
  minP?: number;
  /** The label of every string, of a model that was trained with labels. [drawn] */
  label?: string;
  /** Most characters, or words, of a string. [the artifact's] */
  maxLength?: number;
  /** Rows decoded together, which changes the speed only. [256] */
  batchSize?: number;
  /** Ends the call with `CancelledError`. */
  signal?: AbortSignal;
}

/** Which strings pass. A filter drops whole strings and changes no distribution. */
export interface FilterOptions extends DrawOptions {
  /** What every string begins with: characters, or whole words. [""] */
  prefix?: string;
  /** A regular expression that the whole string matches. [any string] */
  matching?: string;
  /** A pattern that the whole string matches: * is any text, ? one character. [any string] */
  wildcard?: string;
  /** What every string ends with. [""] */
  suffix?: string;
  /** Fewest characters, or words, of a string; 0 lets the empty string pass. [1] */
  minLength?: number;
  /** Strings that do not pass. [none] */
  notIn?: Iterable<string>;
  /** Only strings that are no line of the training text. [false] */
  novel?: boolean;
}

/** What `sample` takes. With none given, strings follow the model exactly. */
export interface SampleOptions extends FilterOptions {
  /** Each string once. [false] */
  unique?: boolean;
  /** Most rows that are tried before the search is given up. */
  maxRows?: number;
  /** Same seed, same strings: an integer of 64 bits. [fresh entropy] */
  seed?: number | bigint;
  /** Number of the first row; seed and number name a string for good. [0] */
  firstRow?: number | bigint;
}

/** All options of a call, each with its value. */
export interface Options {
  readonly penalty: number;
  readonly exclude: string;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly label: string | undefined;
  readonly maxLength: number | undefined;
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
  readonly prefix: string;
  readonly matching: string | undefined;
  readonly wildcard: string | undefined;
  readonly suffix: string;
  readonly minLength: number;
  readonly notIn: ReadonlySet<string> | undefined;
  readonly novel: boolean;
  readonly unique: boolean;
  readonly maxRows: number | undefined;
  readonly seed: bigint;
  readonly firstRow: bigint;
}

/** Checks options and gives those that are missing their defaults; `OptionError` names what is wrong. */
export function parseOptions(given: SampleOptions): Options {
  const known = new Set(Object.keys(DEFAULTS));
  for (const name of Object.keys(given)) {
    if (!known.has(name)) {
      throw new OptionError(
        `option ${shown(name)} is not known; these are: ${[...known].join(', ')}`,
      );
    }
  }
  const values = { ...DEFAULTS, ...definedOf(given) };
  for (const [name, [words, holds]] of Object.entries(LIMITS)) {
    const value = values[name as keyof SampleOptions];
    if (value !== undefined && !holds(value)) {
      throw new OptionError(`${name} is ${shown(value)}; it must be ${words}`);
    }
  }
  return {
    ...values,
    notIn: values.notIn === undefined ? undefined : new Set(values.notIn),
    seed: values.seed === undefined ? freshSeed() : BigInt(values.seed),
    firstRow: BigInt(values.firstRow),
  };
}

const DEFAULTS = {
  penalty: 1,
  exclude: '',
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  label: undefined as string | undefined,
  maxLength: undefined as number | undefined,
  batchSize: 256,
  signal: undefined as AbortSignal | undefined,
  prefix: '',
  matching: undefined as string | undefined,
  wildcard: undefined as string | undefined,
  suffix: '',
  minLength: 1,
  notIn: undefined as Iterable<string> | undefined,
  novel: false,
  unique: false,
  maxRows: undefined as number | undefined,
  seed: undefined as number | bigint | undefined,
  firstRow: 0 as number | bigint,
};

type Limit = readonly [words: string, holds: (value: unknown) => boolean];

function number(words: string, holds: (value: number) => boolean): Limit {
  return [words, (value) => typeof value === 'number' && holds(value)];
}

function integer(least: number): Limit {
  const words = `an integer >= ${least} and < 2**53`;
  return number(words, (value) => Number.isSafeInteger(value) && value >= least);
}

const STRING: Limit = ['a string', (value) => typeof value === 'string'];
const BOOLEAN: Limit = ['true or false', (value) => typeof value === 'boolean'];
const WIDE: Limit = [
  'an integer >= 0, above 2**53 a BigInt, and < 2**64',
  (value) =>
    typeof value === 'bigint'
      ? value >= 0n && value < 2n ** 64n
      : Number.isSafeInteger(value) && Number(value) >= 0,
];

const LIMITS: Record<keyof typeof DEFAULTS, Limit> = {
  penalty: number('a finite number >= 1', (p) => p >= 1 && Number.isFinite(Math.fround(p))),
  exclude: STRING,
  temperature: number('a finite number >= 0', (t) => t >= 0 && t < Infinity),
  topK: integer(0),
  topP: number('a number > 0 and <= 1', (p) => p > 0 && p <= 1),
  minP: number('a number >= 0 and <= 1', (p) => p >= 0 && p <= 1),
  label: STRING,
  maxLength: integer(1),
  batchSize: integer(1),
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  prefix: STRING,
  matching: STRING,
  wildcard: STRING,
  suffix: STRING,
  minLength: integer(0),
  notIn: ['an array or set of strings', isStrings],
  novel: BOOLEAN,
  unique: BOOLEAN,
  maxRows: integer(1),
  seed: WIDE,
  firstRow: WIDE,
};

/** `OptionError` unless `value` is an integer that a count of strings may be. */
export function checkCount(name: string, value: number, least = 0): void {
  const [words, holds] = integer(least);
  if (!holds(value)) throw new OptionError(`${name} is ${shown(value)}; it must be ${words}`);
}

function isStrings(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function definedOf(given: SampleOptions): SampleOptions {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** 63 bits of entropy. */
function freshSeed(): bigint {
  const [bits] = crypto.getRandomValues(new BigUint64Array(1));
  return bits >> 1n;
}
