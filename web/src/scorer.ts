/** How likely strings are under a model. */

import { STOP } from './decoder.js';
import type { Engine } from './engine.js';
import { OptionError, shown } from './errors.js';
import { checkCount } from './parse_options.js';
import { labelsOf, scoreIds, type TokenScore, tokenLogProbs } from './token_scores.js';

export interface ScoreOptions {
  /** Of a model that was trained with labels, that of the strings; without one, any. */
  label?: string;
  /** What to do with a string that the model does not know: raise, or minus infinity. ["error"] */
  onUnknown?: 'error' | '-inf';
  /** Strings scored together, which changes the speed only. [256] */
  batchSize?: number;
  /** Ends the call with `CancelledError`. */
  signal?: AbortSignal;
}

/** Natural-log probability of each whole string, its stop included; see `Sampler.score`. */
export async function scoreStrings(
  engine: Engine,
  strings: readonly string[],
  options: ScoreOptions,
): Promise<Float64Array> {
  if (options.batchSize !== undefined) checkCount('batchSize', options.batchSize, 1);
  const encoded = strings.map((text, i) => encodeOrSkip(engine, text, i, options));
  const known = encoded.flatMap((ids) => (ids === undefined ? [] : [ids]));
  let sums = new Float64Array(known.length).fill(-Infinity);
  for (const begin of labelsOf(engine, options.label)) {
    const ofLabel = await tokenLogProbs(
      engine,
      known.map((ids) => [...begin, ...ids]),
      options,
    );
    sums = sums.map((sum, i) =>
      logSum(
        sum,
        ofLabel[i].reduce((a, b) => a + b),
      ),
    );
  }
  if (options.label !== undefined) {
    const [[given]] = await tokenLogProbs(engine, labelsOf(engine, options.label), options);
    if (given > -Infinity) sums = sums.map((sum) => sum - given);
  }
  const scores = new Float64Array(strings.length).fill(-Infinity);
  let next = 0;
  encoded.forEach((ids, i) => {
    if (ids !== undefined) scores[i] = sums[next++];
  });
  return scores;
}

/** Natural-log probability of each token of a string; see `Sampler.scoreTokens`. */
export async function scoreTokens(
  engine: Engine,
  text: string,
  options: ScoreOptions,
): Promise<TokenScore[]> {
  if (options.batchSize !== undefined) checkCount('batchSize', options.batchSize, 1);
  engine.requireLabel(options.label, 'scoreTokens');
  const ids = encodeOrSkip(engine, text, 0, options);
  if (ids === undefined) return [{ token: '', logProb: -Infinity }];
  return scoreIds(engine, ids, options);
}

/** The ids of a string and its stop; undefined where it is to be skipped. */
function encodeOrSkip(
  engine: Engine,
  text: string,
  i: number,
  { onUnknown = 'error' }: ScoreOptions,
): number[] | undefined {
  if (onUnknown !== 'error' && onUnknown !== '-inf') {
    throw new OptionError(`onUnknown is ${shown(onUnknown)}; it must be 'error' or '-inf'`);
  }
  if (typeof text !== 'string') {
    throw new OptionError(`string number ${i + 1} is ${shown(text)}; it must be a string`);
  }
  try {
    return [...engine.encode(text), STOP];
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    if (onUnknown === '-inf') return undefined;
    throw new OptionError(`string number ${i + 1}: ${error.message}`);
  }
}

/** log(e^a + e^b). */
function logSum(a: number, b: number): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}
