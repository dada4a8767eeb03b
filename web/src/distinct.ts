/** Each string once: by leaving out repeats, and whether these dominate. */

import type { Found } from './row_search.js';

/** Rows after which it is asked whether repeats dominate; whatever a call decodes at a time. */
const BLOCK = 10_000;

/** It is asked over the last rows that hold so many strings that pass, or over so many rows. */
const [WINDOW_STRINGS, WINDOW_ROWS] = [1000, 2 ** 20];

/** Share of repeats from which on the search goes on over a trie. */
const DOMINATE = 0.9;

/** Strings that a trie begins with at most; with more, repeats are left out until `maxRows`. */
const MAX_FOUND = 2 ** 16;

/** What was found so far of a search for strings that are all different. */
export class DistinctStrings {
  readonly seen = new Set<string>();
  /** What was found, while a trie may yet be made of it. */
  kept: Found[] = [];
  /** Whether what comes later is better drawn from a trie, from row `windowBegin` on. */
  repeatsDominate = false;
  windowBegin = 0;
  private blockEnd = BLOCK;
  private passed = 0; // of the window
  private repeats = 0;

  /** firstRow: the first row of the search, from which rows are counted here. */
  constructor(private readonly firstRow: bigint) {}

  /** What comes first in the next chunk of the search, after which `tried` rows were tried. */
  withoutRepeats(chunk: readonly Found[], tried: number): Found[] {
    const fresh: Found[] = [];
    for (const found of chunk) {
      this.endBlocksUpTo(Number(found.row - this.firstRow));
      if (this.repeatsDominate) break;
      this.passed += 1;
      if (this.seen.has(found.text)) {
        this.repeats += 1;
        continue;
      }
      this.seen.add(found.text);
      fresh.push(found);
    }
    this.endBlocksUpTo(tried);
    this.kept = this.seen.size <= MAX_FOUND ? [...this.kept, ...fresh] : [];
    return fresh;
  }

  private endBlocksUpTo(row: number): void {
    while (this.blockEnd <= row && !this.repeatsDominate) {
      if (this.passed >= WINDOW_STRINGS || this.blockEnd - this.windowBegin >= WINDOW_ROWS) {
        const many = this.repeats >= DOMINATE * this.passed;
        this.repeatsDominate = many && this.seen.size <= MAX_FOUND;
        this.windowBegin = this.blockEnd;
        this.passed = 0;
        this.repeats = 0;
      }
      this.blockEnd += BLOCK;
    }
  }
}
