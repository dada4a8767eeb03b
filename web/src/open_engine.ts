/** From the bytes of a file to a model that runs. */

import { parseArtifact } from './artifact.js';
import { Engine } from './engine.js';
import { ArtifactError, OrtError } from './errors.js';
import { readMetadata } from './protobuf.js';
import { type Ort, Step } from './step.js';
import { newVocabulary } from './vocabulary.js';

const METADATA_KEY = 'makemore';

/**
 * The model of a file, and all the metadata beside it. `source` names the file in errors; ONNX
 * Runtime is asked for once the metadata are read.
 */
export async function openEngine(
  bytes: Uint8Array,
  source: string,
  openOrt: () => Promise<Ort>,
): Promise<{ engine: Engine; metadata: ReadonlyMap<string, Uint8Array> }> {
  const metadata = readMetadata(bytes, source);
  const json = metadata.get(METADATA_KEY);
  if (json === undefined) {
    throw new ArtifactError(`${source}: it has no makemore metadata; mm-export writes it`);
  }
  const artifact = parseArtifact(json, source);
  const vocabulary = newVocabulary(artifact);
  if (typeof WebAssembly === 'undefined') throw new OrtError('there is no WebAssembly here');
  const step = await Step.open(await openOrt(), bytes, artifact, source);
  return { engine: new Engine(artifact, vocabulary, step), metadata };
}
