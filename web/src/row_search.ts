/** The rows of a seed that pass, in order: what every way of sampling is made of. */

import { type Decoded, STOP } from './decoder.js';
import { DistinctStrings } from './distinct.js';
import type { Engine, Plan } from './engine.js';
import { ExhaustedError, grouped, OptionError } from './errors.js';
import { NextTokens } from './next_tokens.js';
import type { Options } from './options.js';
import { tokenLogProbs } from './scorer.js';
import { type Drawn, StringTrie } from './string_trie.js';

const MAX_ROWS = 2 ** 25;
const MAX_EMPTY_ROWS = 2 ** 16;
const ROWS_PER_STRING = 100;
const MAX_CHUNK = 2 ** 18;

/** A string that passed, and its row. */
export interface Found {
  readonly text: string;
  readonly decoded: Decoded;
  readonly row: bigint;
}

/** A search among the rows of a seed, from `options.firstRow` on. */
export class RowSearch {
  private tried = 0; // rows so far
  private found = 0; // strings that passed so far

  constructor(
    private readonly engine: Engine,
    private readonly plan: Plan,
    private readonly options: Options,
    private readonly passes: (text: string) => boolean,
    private readonly logProbs: boolean,
  ) {}

  /**
   * The first n strings that pass, or all of them; `most` at a time, few at first.
   * `ExhaustedError` where the rows end before.
   */
  async *chunks(n: number, most = Infinity): AsyncGenerator<Found[]> {
    const { unique, firstRow } = this.options;
    const distinct = unique ? new DistinctStrings(firstRow) : undefined;
    for (let wanted = most === Infinity ? n : 1; this.found < n; wanted *= 2) {
      const left = n - this.found;
      const rows = this.rowsFor(Math.min(left, wanted, most), n);
      let chunk = await this.decodeRows(rows);
      this.tried += rows;
      if (distinct !== undefined) chunk = distinct.withoutRepeats(chunk, this.tried);
      chunk = chunk.slice(0, left);
      this.found += chunk.length;
      if (chunk.length > 0) yield chunk;
      if (distinct?.repeatsDominate && this.found < n) {
        this.tried = distinct.windowBegin;
        yield* this.trieChunks(distinct, n - this.found);
        return;
      }
    }
  }

  /** The next n strings from a trie without those found so far, until nothing is left. */
  private async *trieChunks(distinct: DistinctStrings, n: number): AsyncGenerator<Found[]> {
    const next = new NextTokens(this.engine, this.plan, this.options.signal);
    const trie = await StringTrie.over(next, this.options.seed);
    await trie.remove(distinct.kept.map(({ decoded }) => decoded));
    for (let left = n; left > 0; ) {
      this.rowsLeft(n);
      const row = this.options.firstRow + BigInt(this.tried);
      this.tried += 1;
      if (trie.isEmpty) throw this.exhausted(1 - trie.left);
      const drawn = await trie.draw(row);
      if (drawn === undefined) continue;
      const text = this.engine.vocabulary.decode(drawn.ids);
      if (distinct.seen.has(text)) continue;
      distinct.seen.add(text);
      if (!this.passes(text)) continue;
      this.found += 1;
      left -= 1;
      yield [{ text, decoded: { ...drawn, logProb: await this.logProb(drawn) }, row }];
    }
  }

  private async logProb({ ids, stopped }: Drawn): Promise<number> {
    if (!this.logProbs) return 0;
    const whole = stopped ? [...ids, STOP] : [...ids];
    const [logProbs] = await tokenLogProbs(this.engine, [whole], { signal: this.options.signal });
    return logProbs.reduce((sum, each) => sum + each, 0);
  }

  private exhausted(mass: number): ExhaustedError {
    return new ExhaustedError(
      `there are no more strings: ${grouped(this.found)} were found in ${grouped(this.tried)} ` +
        'rows, and what is left has a probability below 2**-40',
      this.tried,
      mass,
    );
  }

  private async decodeRows(rows: number): Promise<Found[]> {
    const { firstRow } = this.options;
    const first = firstRow + BigInt(this.tried);
    if (first + BigInt(rows) > 2n ** 64n) {
      throw new OptionError(
        `firstRow is ${firstRow}; with ${this.tried + rows} rows it passes 2**64`,
      );
    }
    const all = await this.engine.decodeRows(this.plan, rows, this.options, first, this.logProbs);
    const texts = new Map<Decoded, string>();
    const found: Found[] = [];
    all.forEach((decoded, row) => {
      if (decoded === undefined) return;
      const text = texts.get(decoded) ?? this.engine.vocabulary.decode(decoded.ids);
      texts.set(decoded, text);
      if (this.passes(text)) found.push({ text, decoded, row: first + BigInt(row) });
    });
    return found;
  }

  /** Rows to decode next: as many as are likely to hold so many strings that pass. */
  private rowsFor(wanted: number, n: number): number {
    let rows = wanted;
    if (this.tried > 0) {
      rows = 8 * this.tried;
      if (this.found > 0) {
        const likely = Math.floor((1.05 * wanted * this.tried) / this.found) + 8;
        rows = Math.min(likely, 64 * this.tried);
      }
    }
    return Math.min(rows, MAX_CHUNK, this.rowsLeft(n));
  }

  /** How many more rows may be tried; `ExhaustedError` where none. */
  private rowsLeft(n: number): number {
    const fewest = this.asksForMore() ? MAX_ROWS : MAX_EMPTY_ROWS;
    const each = n === Infinity ? this.found + 1 : n;
    const limit = this.options.maxRows ?? Math.max(fewest, ROWS_PER_STRING * each);
    const left = Math.min(limit, Number(2n ** 64n - this.options.firstRow)) - this.tried;
    if (left <= 0) throw this.givenUp(n);
    return left;
  }

  /** Whether more is asked for than that a string is not empty. */
  private asksForMore(): boolean {
    const { matching, wildcard, suffix, minLength, notIn, novel, unique } = this.options;
    const patterns = matching !== undefined || wildcard !== undefined || suffix !== '';
    return patterns || minLength > 1 || notIn !== undefined || novel || unique;
  }

  private givenUp(n: number): ExhaustedError {
    let message = `${grouped(this.found)} strings were found in ${grouped(this.tried)} rows`;
    if (this.options.unique) message += ', each once';
    if (n !== Infinity && this.found > 0) {
      const share = this.found / this.tried;
      const rows = Math.floor((n / share) * 1.1);
      message +=
        `; ${share.toPrecision(2)} of the rows pass, so that ${grouped(n)} strings take about ` +
        `${grouped(rows)}: maxRows: ${rows}`;
    } else if (this.found === 0) {
      message += '; fewer than 1 in so many pass; more are tried with a larger maxRows';
    }
    return new ExhaustedError(message, this.tried);
  }
}
