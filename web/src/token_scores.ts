/** The probability of each token of strings. */

import type { Engine } from './engine.js';

/** A token of a string, "" for the stop, and its natural-log probability given those before it. */
export interface TokenScore {
  readonly token: string;
  readonly logProb: number;
}

/** How the step runs over the strings. */
interface Pass {
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

const DRAW = {
  sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, allowed: undefined },
  adjust: undefined,
};

/** Natural-log probability of each token of a string, given as its ids with the stop. */
export async function scoreIds(
  engine: Engine,
  ids: readonly number[],
  options: Pass & { readonly label?: string },
): Promise<TokenScore[]> {
  const [begin] = labelsOf(engine, options.label);
  const [logProbs] = await tokenLogProbs(engine, [[...begin, ...ids]], options);
  return ids.map((id, i) => ({
    token: engine.vocabulary.textOf(id),
    logProb: logProbs[begin.length + i],
  }));
}

/** What strings to be scored may begin with. */
export function labelsOf({ vocabulary }: Engine, label: string | undefined): number[][] {
  if (label !== undefined) return [[vocabulary.labelId(label)]];
  if (vocabulary.labels.length === 0) return [[]];
  return vocabulary.labels.map((each) => [vocabulary.labelId(each)]);
}

/** Natural-log probability of each token of each string of ids. */
export async function tokenLogProbs(
  engine: Engine,
  strings: readonly number[][],
  { batchSize = 256, signal }: Pass,
): Promise<number[][]> {
  const found = strings.map((ids) => new Array<number>(ids.length));
  const tokenLogProb = (row: number, position: number, logProb: number) => {
    found[row][position] = logProb;
  };
  await engine.decodePrompts(strings, { ...DRAW, batchSize }, { tokenLogProb }, signal);
  return found;
}
