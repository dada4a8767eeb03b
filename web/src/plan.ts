/** From options to a plan: what they mean for a model, checked before anything is sampled. */

import type { Engine, Plan } from './engine.js';
import { OptionError } from './errors.js';
import type { Options } from './options.js';

/** `OptionError` for options that the model cannot have, or where no string can pass. */
export function newPlan(engine: Engine, options: Options): Plan {
  for (const name of ['matching', 'wildcard', 'suffix', 'novel', 'unique'] as const) {
    if (options[name]) throw new OptionError(`${name} is not known here yet`);
  }
  return {
    prompt: engine.promptOf(options),
    maxLength: engine.maxLengthOf(options),
    sampling: engine.samplingOf(options),
    penalty: options.penalty,
    batchSize: options.batchSize,
    filter: undefined,
  };
}
