/** From options to a plan: what they mean for a model, checked before anything is sampled. */

import type { Engine, Plan } from './engine.js';
import type { Options } from './options.js';
import { compileFilter } from './patterns/compile.js';

/** `OptionError` for options that the model cannot have, or where no string can pass. */
export function newPlan(engine: Engine, options: Options): Plan {
  const maxLength = engine.maxLengthOf(options);
  const prompt = engine.promptOf(options);
  const filter = compileFilter(engine.vocabulary, {
    ...options,
    maxLength: maxLength - engine.labelTokens,
    excluded: engine.vocabulary.mask(options.exclude),
    prefix: prompt.slice(options.label === undefined ? 0 : 1),
  });
  const { penalty, batchSize } = options;
  return { prompt, maxLength, sampling: engine.samplingOf(options), penalty, batchSize, filter };
}
