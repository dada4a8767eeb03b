/** How likely strings are under a model. */

import { STOP } from './decoder.js';
import type { Engine } from './engine.js';
import { OptionError, shown } from './errors.js';
import { checkCount } from './options.js';

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

/** A token of a string, "" for the stop, and its natural-log probability given those before it. */
export interface TokenScore {
  readonly token: string;
  readonly logProb: number;
}

const DRAW = {
  sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, allowed: undefined },
  penalty: 1,
};

/** Natural-log probability of each whole string, its stop included; see `Sampler.score`. */
export async function scoreStrings(
  engine: Engine,
  strings: readonly string[],
  options: ScoreOptions,
): Promise<Float64Array> {
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
  engine.requireLabel(options.label, 'scoreTokens');
  const ids = encodeOrSkip(engine, text, 0, options);
  if (ids === undefined) return [{ token: '', logProb: -Infinity }];
  const [begin] = labelsOf(engine, options.label);
  const [logProbs] = await tokenLogProbs(engine, [[...begin, ...ids]], options);
  return ids.map((id, i) => ({
    token: engine.vocabulary.textOf(id),
    logProb: logProbs[begin.length + i],
  }));
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

/** What strings to be scored may begin with. */
function labelsOf({ vocabulary }: Engine, label: string | undefined): number[][] {
  if (label !== undefined) return [[vocabulary.labelId(label)]];
  if (vocabulary.labels.length === 0) return [[]];
  return vocabulary.labels.map((each) => [vocabulary.labelId(each)]);
}

/** Natural-log probability of each token of each string of ids. */
export async function tokenLogProbs(
  engine: Engine,
  strings: readonly number[][],
  { batchSize = 256, signal }: Pick<ScoreOptions, 'batchSize' | 'signal'>,
): Promise<number[][]> {
  checkCount('batchSize', batchSize, 1);
  const found = strings.map((ids) => new Array<number>(ids.length));
  const tokenLogProb = (row: number, position: number, logProb: number) => {
    found[row][position] = logProb;
  };
  await engine.decodePrompts(strings, { ...DRAW, batchSize }, { tokenLogProb }, signal);
  return found;
}

/** log(e^a + e^b). */
function logSum(a: number, b: number): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}
