/** The sampler: strings from a model, as many as are asked for and as they are asked for. */

import type { Artifact } from './artifact.js';
import { DistinctSearch } from './distinct_search.js';
import type { Engine } from './engine.js';
import { ExhaustedError, OptionError } from './errors.js';
import type { Fingerprints } from './fingerprints.js';
import { BestFirstSearch, type MostLikely } from './most_likely.js';
import { type NextToken, NextTokens, nextTokens } from './next_tokens.js';
import type { DrawOptions, FilterOptions, Options, SampleOptions } from './options.js';
import { checkCount, parseOptions } from './parse_options.js';
import { penaltyOf } from './penalty.js';
import { newPlan } from './plan.js';
import { mostRows, reason } from './row_limit.js';
import { type Found, RowSearch } from './row_search.js';
import { type ScoreOptions, scoreStrings, scoreTokens } from './scorer.js';
import type { TokenScore } from './token_scores.js';

/** Most strings that a stream makes at a time. */
const STREAM_CHUNK = 1024;

/** A string with all that is known of it. */
export interface Sample {
  readonly text: string;
  /** Its tokens, a label first, without start and stop. */
  readonly ids: readonly number[];
  /** Natural-log probability under the model itself; of one that stopped, its stop included. */
  readonly logProb: number;
  /** "stop", or "length" where it was cut at the longest length. */
  readonly finishReason: 'stop' | 'length';
  readonly seed: bigint;
  /** Its number in the sequence that the seed names: to go on after it, `firstRow: row + 1n`. */
  readonly row: bigint;
}

/** Samples from a model and scores strings; `load` gives one. */
export class Sampler {
  /** fingerprints: those of the lines of the training text, where the artifact has them. */
  constructor(
    private readonly engine: Engine,
    private readonly fingerprints: () => Fingerprints | undefined,
  ) {}

  /** What the artifact says of its model. */
  get artifact(): Artifact {
    return this.engine.artifact;
  }

  /**
   * Makes n strings: the first n of the seed's rows that pass. A row's string depends on artifact,
   * options, seed and row alone, and is the same in Python.
   *
   * Raises `OptionError` for an option that cannot be; `ExhaustedError`, which holds the strings
   * found, where fewer than n pass; `CancelledError`.
   */
  async sample(n: number, options: SampleOptions = {}): Promise<string[]> {
    return this.collect(n, parseOptions(options), false, ({ text }) => text);
  }

  /** The strings that `sample` makes, each with its ids, log-probability, seed and row. */
  async sampleIds(n: number, options: SampleOptions = {}): Promise<Sample[]> {
    const parsed = parseOptions(options);
    return this.collect(n, parsed, true, (found) => sampleOf(found, parsed.seed));
  }

  /** The strings that `sample` would make, one after the other, without end. */
  async *stream(options: SampleOptions = {}): AsyncGenerator<string, void, undefined> {
    for await (const chunk of this.search(parseOptions(options), Infinity, false).chunks(
      Infinity,
      STREAM_CHUNK,
    )) {
      for (const { text } of chunk) yield text;
    }
  }

  /**
   * Natural-log probability of each whole string, its stop included.
   *
   * Raises `OptionError` for a character that the model does not know, or a string longer than its
   * block, unless `onUnknown` is "-inf", which then is its score.
   */
  async score(strings: readonly string[], options: ScoreOptions = {}): Promise<Float64Array> {
    if (!Array.isArray(strings)) throw new OptionError('score takes an array of strings');
    return scoreStrings(this.engine, strings, options);
  }

  /** Each token of a string, and last the stop, with its natural-log probability. */
  async scoreTokens(text: string, options: ScoreOptions = {}): Promise<TokenScore[]> {
    return scoreTokens(this.engine, text, options);
  }

  /** The tokens that may follow a prefix, the likeliest first; without a label, labels may. */
  async nextTokens(prefix: string, options: DrawOptions = {}): Promise<NextToken[]> {
    const { engine } = this;
    const parsed = parseOptions({ ...options, prefix });
    const { penalty, batchSize, signal } = parsed;
    const prompt = engine.promptOf(parsed);
    const draw = { adjust: penaltyOf(penalty), batchSize, sampling: engine.samplingOf(parsed) };
    return nextTokens(engine, prompt, draw, signal);
  }

  /** The k strings with the highest probabilities of all that pass, exactly. */
  async mostLikely(k: number, options: FilterOptions = {}): Promise<MostLikely> {
    checkCount('k', k);
    const parsed = parseOptions(options);
    this.engine.requireLabel(parsed.label, 'mostLikely');
    const next = new NextTokens(this.engine, newPlan(this.engine, parsed), parsed.signal);
    return new BestFirstSearch(next, this.textFilter(parsed), k).run();
  }

  /** Frees the model when the calls that run have ended; later ones raise `OptionError`. */
  close(): Promise<void> {
    return this.engine.close();
  }

  private async collect<T>(
    n: number,
    options: Options,
    logProbs: boolean,
    read: (found: Found) => T,
  ): Promise<T[]> {
    checkCount('n', n);
    const all: T[] = [];
    try {
      for await (const chunk of this.search(options, n, logProbs).chunks(n)) {
        for (const found of chunk) all.push(read(found));
      }
    } catch (error) {
      if (error instanceof ExhaustedError) error.found = all;
      throw error;
    }
    return all;
  }

  /** The search for n strings; infinite in a stream. */
  private search(options: Options, n: number, logProbs: boolean): RowSearch {
    const Search = options.unique ? DistinctSearch : RowSearch;
    return new Search(this.engine, newPlan(this.engine, options), options, {
      passes: this.textFilter(options),
      logProbs,
      mostRows: (found) => mostRows(options, n, found),
      reason: (found, tried) => reason(options, n, found, tried),
    });
  }

  /** What only a whole string tells. */
  private textFilter({ notIn, novel }: Options): (text: string) => boolean {
    const known = novel ? this.fingerprints() : undefined;
    if (novel && known === undefined) {
      throw new OptionError(
        'novel is true; the artifact has no fingerprints of its training lines: export it ' +
          'without --no-fingerprints',
      );
    }
    return (text) => !notIn?.has(text) && !known?.has(text);
  }
}

function sampleOf({ text, decoded, row }: Found, seed: bigint): Sample {
  const { ids, logProb, stopped } = decoded;
  return { text, ids, logProb, finishReason: stopped ? 'stop' : 'length', seed, row };
}
