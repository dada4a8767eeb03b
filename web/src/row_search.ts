/** The rows of a seed that pass, in order: what every way of sampling is made of. */

import type { Decoded } from './decoder.js';
import type { Engine, Plan } from './engine.js';
import { ExhaustedError, OptionError } from './errors.js';
import type { RowOptions } from './options.js';

const MAX_CHUNK = 2 ** 18;

/** A string that passed, and its row. */
export interface Found {
  readonly text: string;
  readonly decoded: Decoded;
  readonly row: bigint;
}

/** What strings a search is for, and when it is given up. */
export interface Demand {
  passes(text: string): boolean;
  /** Whether log-probabilities are asked for. */
  readonly logProbs: boolean;
  /** Most rows that are tried where so many strings were found. */
  mostRows(found: number): number;
  /** What to say where no more rows are tried. */
  reason(found: number, tried: number): string;
}

/** A search among the rows of a seed, from `options.firstRow` on. */
export class RowSearch {
  protected tried = 0; // rows so far
  protected found = 0; // strings that passed so far

  constructor(
    protected readonly engine: Engine,
    protected readonly plan: Plan,
    protected readonly options: RowOptions,
    protected readonly demand: Demand,
  ) {}

  /**
   * The first n strings that pass, or all of them; `most` at a time, few at first.
   * `ExhaustedError` where the rows end before.
   */
  async *chunks(n: number, most = Infinity): AsyncGenerator<Found[]> {
    for (let wanted = most === Infinity ? n : 1; this.found < n; wanted *= 2) {
      const chunk = await this.next(Math.min(wanted, most), n);
      this.found += chunk.length;
      if (chunk.length > 0) yield chunk;
    }
  }

  /** The next of n strings, of about as many rows as hold `wanted`; none is no end. */
  protected async next(wanted: number, n: number): Promise<Found[]> {
    const left = n - this.found;
    const rows = this.rowsFor(Math.min(left, wanted));
    const passed = await this.decodeRows(rows);
    this.tried += rows;
    return this.keep(passed).slice(0, left);
  }

  /** Those of the last strings that passed which the search gives. */
  protected keep(passed: Found[]): Found[] {
    return passed;
  }

  private async decodeRows(rows: number): Promise<Found[]> {
    const { firstRow } = this.options;
    const first = firstRow + BigInt(this.tried);
    if (first + BigInt(rows) > 2n ** 64n) {
      throw new OptionError(
        `firstRow is ${firstRow}; with ${this.tried + rows} rows it passes 2**64`,
      );
    }
    const all = await this.engine.decodeRows(
      this.plan,
      rows,
      this.options,
      first,
      this.demand.logProbs,
    );
    const texts = new Map<Decoded, string>();
    const found: Found[] = [];
    all.forEach((decoded, row) => {
      if (decoded === undefined) return;
      const text = texts.get(decoded) ?? this.engine.vocabulary.decode(decoded.ids);
      texts.set(decoded, text);
      if (this.demand.passes(text)) found.push({ text, decoded, row: first + BigInt(row) });
    });
    return found;
  }

  /** Rows to decode next: as many as are likely to hold so many strings that pass. */
  private rowsFor(wanted: number): number {
    let rows = wanted;
    if (this.tried > 0) {
      rows = 8 * this.tried;
      if (this.found > 0) {
        const likely = Math.floor((1.05 * wanted * this.tried) / this.found) + 8;
        rows = Math.min(likely, 64 * this.tried);
      }
    }
    return Math.min(rows, MAX_CHUNK, this.rowsLeft());
  }

  /** How many more rows may be tried; `ExhaustedError` where none. */
  protected rowsLeft(): number {
    const { found, tried, demand } = this;
    const most = Math.min(demand.mostRows(found), Number(2n ** 64n - this.options.firstRow));
    if (most <= tried) throw new ExhaustedError(demand.reason(found, tried), tried);
    return most - tried;
  }
}
