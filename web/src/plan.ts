/** From options to a plan: what they mean for a model, checked before anything is sampled. */

import type { Engine, Plan } from './engine.js';
import { quoted } from './errors.js';
import type { Options } from './options.js';
import { compileFilter, listed, type Pattern } from './patterns/compile.js';
import { parseRegex } from './patterns/regex.js';
import { parseSuffix, parseWildcard } from './patterns/wildcard.js';
import { penaltyOf } from './penalty.js';

/** `OptionError` for options that the model cannot have, or where no string can pass. */
export function newPlan(engine: Engine, options: Options): Plan {
  const { vocabulary } = engine;
  const maxLength = engine.maxLengthOf(options);
  const prompt = engine.promptOf(options);
  const excluded = vocabulary.mask(options.exclude);
  const never = new Set(vocabulary.mask());
  const named = excluded.filter((id) => !never.has(id)).map((id) => vocabulary.decode([id]));
  const filter = compileFilter(vocabulary, {
    patterns: patternsOf(options),
    minLength: options.minLength,
    maxLength: maxLength - engine.labelTokens,
    excluded,
    exclusion: named.length ? `exclude takes away ${listed([...new Set(named)].map(quoted))}` : '',
    prefix: prompt.slice(options.label === undefined ? 0 : 1),
  });
  return {
    prompt,
    maxLength,
    sampling: engine.samplingOf(options),
    adjust: penaltyOf(options.penalty),
    batchSize: options.batchSize,
    filter,
  };
}

function patternsOf({ matching, wildcard, suffix }: Options): Pattern[] {
  const patterns: Pattern[] = [];
  if (matching !== undefined) {
    patterns.push({ option: 'matching', text: matching, parse: parseRegex });
  }
  if (wildcard !== undefined) {
    patterns.push({ option: 'wildcard', text: wildcard, parse: parseWildcard });
  }
  if (suffix !== '') patterns.push({ option: 'suffix', text: suffix, parse: parseSuffix });
  return patterns;
}
