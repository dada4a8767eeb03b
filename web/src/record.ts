/** What an artifact says beside what a runtime needs: its losses and golden samples. */

import { MAX_METADATA, type ModelFacts } from './artifact.js';
import type { Fields } from './json_fields.js';

export interface Artifact extends ModelFacts {
  /** Nats a token by split of the training text; null: infinite. Empty where it is not known. */
  readonly losses: Readonly<Record<string, number | null>>;
  /** Samples with default options that every runtime gives. */
  readonly golden: { readonly seed: number; readonly strings: readonly string[] };
}

/** Adds to the facts what the metadata say beside; `ArtifactError` says what is wrong and where. */
export function withRecord(facts: ModelFacts, fields: Fields): Artifact {
  const golden = fields.object('golden');
  return {
    ...facts,
    losses: fields.has('training') ? lossesOf(fields.object('training').object('losses')) : {},
    golden: {
      seed: golden.integer('seed', 0, 2 ** 64),
      strings: golden.strings('strings', MAX_METADATA),
    },
  };
}

function lossesOf(fields: Fields): Record<string, number | null> {
  const losses: Record<string, number | null> = {};
  for (const [split, loss] of fields.entries()) {
    if (loss !== null && typeof loss !== 'number') {
      throw fields.wrong(split, loss, 'a number or null');
    }
    losses[split] = loss;
  }
  return losses;
}
