/** A search for strings that are all different: among rows, and over a trie once these repeat. */

import { STOP } from './decoder.js';
import { DistinctStrings } from './distinct.js';
import { ExhaustedError, grouped } from './errors.js';
import { NextTokens } from './next_tokens.js';
import { type Found, RowSearch } from './row_search.js';
import { type Drawn, StringTrie } from './string_trie.js';
import { tokenLogProbs } from './token_scores.js';

export class DistinctSearch extends RowSearch {
  private readonly distinct = new DistinctStrings(this.options.firstRow);
  private trie: StringTrie | undefined;

  protected override async next(wanted: number, n: number): Promise<Found[]> {
    if (this.trie !== undefined) return this.drawn(this.trie);
    const chunk = await super.next(wanted, n);
    if (this.distinct.repeatsDominate && this.found + chunk.length < n) {
      this.tried = this.distinct.windowBegin;
      this.trie = await this.newTrie();
    }
    return chunk;
  }

  protected override keep(passed: Found[]): Found[] {
    return this.distinct.withoutRepeats(passed, this.tried);
  }

  /** A trie without the strings found so far. */
  private async newTrie(): Promise<StringTrie> {
    const next = new NextTokens(this.engine, this.plan, this.options.signal);
    const trie = await StringTrie.over(next, this.options.seed);
    await trie.remove(this.distinct.kept.map(({ decoded }) => decoded));
    return trie;
  }

  /** The string of the next row, where it has one that passes. */
  private async drawn(trie: StringTrie): Promise<Found[]> {
    this.rowsLeft();
    const row = this.options.firstRow + BigInt(this.tried);
    this.tried += 1;
    if (trie.isEmpty) throw this.exhausted(1 - trie.left);
    const drawn = await trie.draw(row);
    if (drawn === undefined) return [];
    const text = this.engine.vocabulary.decode(drawn.ids);
    if (this.distinct.seen.has(text)) return [];
    this.distinct.seen.add(text);
    if (!this.demand.passes(text)) return [];
    return [{ text, decoded: { ...drawn, logProb: await this.logProb(drawn) }, row }];
  }

  private async logProb({ ids, stopped }: Drawn): Promise<number> {
    if (!this.demand.logProbs) return 0;
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
}
