/** From the bytes of a file to a model that runs. */

import { type ModelFacts, parseMetadata } from './artifact.js';
import { Engine } from './engine.js';
import { ArtifactError, OrtError } from './errors.js';
import type { Fields } from './json_fields.js';
import { type Ort, Step } from './step.js';
import { newVocabulary } from './vocabulary.js';

const METADATA_KEY = 'makemore';

/** What makemore says in the metadata of a file; `source` names the file in errors. */
export function ownMetadata(metadata: ReadonlyMap<string, Uint8Array>, source: string): Fields {
  const json = metadata.get(METADATA_KEY);
  if (json !== undefined) return parseMetadata(json, source);
  throw new ArtifactError(`${source}: it has no makemore metadata; mm-export writes it`);
}

/** The model of a file. ONNX Runtime is asked for once the facts are known to be right. */
export async function openEngine(
  bytes: Uint8Array,
  facts: ModelFacts,
  source: string,
  openOrt: () => Promise<Ort>,
): Promise<Engine> {
  const vocabulary = newVocabulary(facts);
  if (typeof WebAssembly === 'undefined') throw new OrtError('there is no WebAssembly here');
  const step = await Step.open(await openOrt(), bytes, facts, source);
  return new Engine(facts, vocabulary, step);
}
