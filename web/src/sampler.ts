/** The sampler: strings from a model, as many as are asked for and as they are asked for. */

import type { Artifact } from './artifact.js';
import type { Engine } from './engine.js';
import { ExhaustedError } from './errors.js';
import { checkCount, type Options, parseOptions, type SampleOptions } from './options.js';
import { newPlan } from './plan.js';
import { type Found, RowSearch } from './row_search.js';

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
  constructor(private readonly engine: Engine) {}

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
    for await (const chunk of this.search(parseOptions(options), false).chunks(
      Infinity,
      STREAM_CHUNK,
    )) {
      for (const { text } of chunk) yield text;
    }
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
      for await (const chunk of this.search(options, logProbs).chunks(n)) {
        for (const found of chunk) all.push(read(found));
      }
    } catch (error) {
      if (error instanceof ExhaustedError) error.found = all;
      throw error;
    }
    return all;
  }

  private search(options: Options, logProbs: boolean): RowSearch {
    const passes = textFilter(options);
    return new RowSearch(this.engine, newPlan(this.engine, options), options, passes, logProbs);
  }
}

function sampleOf({ text, decoded, row }: Found, seed: bigint): Sample {
  const { ids, logProb, stopped } = decoded;
  return { text, ids, logProb, finishReason: stopped ? 'stop' : 'length', seed, row };
}

/** What only a whole string tells. */
function textFilter({ notIn }: Options): (text: string) => boolean {
  return (text) => !notIn?.has(text);
}
