/** From the options that a caller gives to all of them, checked. */

import { OptionError, shown } from './errors.js';
import { DEFAULTS, type Options, type SampleOptions } from './options.js';

/** Checks options and gives those that are missing their defaults; `OptionError` names what is wrong. */
export function parseOptions(given: SampleOptions): Options {
  const known = new Set(Object.keys(LIMITS));
  for (const name of Object.keys(given)) {
    if (!known.has(name)) {
      throw new OptionError(
        `option ${shown(name)} is not known; these are: ${[...known].join(', ')}`,
      );
    }
  }
  const values = definedOf(given);
  for (const [name, [words, holds]] of Object.entries(LIMITS)) {
    const value = values[name as keyof SampleOptions];
    if (value !== undefined && !holds(value)) {
      throw new OptionError(`${name} is ${shown(value)}; it must be ${words}`);
    }
  }
  const { notIn, seed, firstRow, ...others } = values;
  return {
    ...DEFAULTS,
    ...others,
    notIn: notIn && new Set(notIn),
    seed: seed === undefined ? freshSeed() : BigInt(seed),
    firstRow: firstRow === undefined ? DEFAULTS.firstRow : BigInt(firstRow),
  };
}

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

const LIMITS: Record<keyof SampleOptions, Limit> = {
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
