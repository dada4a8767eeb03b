/** Samples from an artifact of makemore: the same strings from the same seed as in Python. */

export type { Artifact, Level } from './artifact.js';
export {
  ArtifactError,
  CancelledError,
  ExhaustedError,
  MakemoreError,
  OptionError,
  OrtError,
} from './errors.js';
export { type LoadOptions, load } from './load.js';
export type { MostLikely } from './most_likely.js';
export type { NextToken } from './next_tokens.js';
export type { DrawOptions, FilterOptions, SampleOptions } from './options.js';
export { type Sample, Sampler } from './sampler.js';
export type { ScoreOptions } from './scorer.js';
export type { TokenScore } from './token_scores.js';
