/** How many rows a search tries, and what it says where they do not suffice. */

import { grouped } from './errors.js';
import type { Options } from './options.js';

const MAX_ROWS = 2 ** 25;
const MAX_EMPTY_ROWS = 2 ** 16;
const ROWS_PER_STRING = 100;

/** Most rows for n strings; `filtered`: whether more is asked for than that none is empty. */
export function defaultMaxRows(n: number, filtered: boolean): number {
  return Math.max(filtered ? MAX_ROWS : MAX_EMPTY_ROWS, ROWS_PER_STRING * n);
}

/** Most rows of a search for n strings that has found some; n is infinite in a stream. */
export function mostRows(options: Options, n: number, found: number): number {
  return options.maxRows ?? defaultMaxRows(n === Infinity ? found + 1 : n, isFiltered(options));
}

function isFiltered(options: Options): boolean {
  const { matching, wildcard, suffix, minLength, notIn, novel, unique } = options;
  const patterns = matching !== undefined || wildcard !== undefined || suffix !== '';
  return patterns || minLength > 1 || notIn !== undefined || novel || unique;
}

/** Why a search for n strings was given up, and what to do. */
export function reason(options: Options, n: number, found: number, tried: number): string {
  let message = `${grouped(found)} strings were found in ${grouped(tried)} rows`;
  if (options.unique) message += ', each once';
  if (n !== Infinity && found > 0) {
    const share = found / tried;
    const rows = Math.floor((n / share) * 1.1);
    message +=
      `; a share of ${share.toPrecision(2)} of the rows passes, so that ${grouped(n)} strings take about ` +
      `${grouped(rows)}: maxRows: ${rows}`;
  } else if (found === 0) {
    message += '; fewer than 1 in so many pass; more are tried with a larger maxRows';
  }
  return message;
}
