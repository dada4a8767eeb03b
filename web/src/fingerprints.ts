/** Fingerprints of the lines that a model was trained on: whether a string is one of them. */

import { blake2b64 } from './blake2b.js';
import { ArtifactError } from './errors.js';

const BYTES = 8;
const MAX_LINES = 2 ** 23;

/** 64 bits of each line, rising. A string that is not a line is taken for one once in 2^64 / n. */
export class Fingerprints {
  private readonly prints: BigUint64Array;

  /** text: base64 of little-endian integers; `ArtifactError` where it is not so. */
  constructor(text: Uint8Array, source: string) {
    let binary: string;
    try {
      binary = atob(new TextDecoder().decode(text));
    } catch {
      throw new ArtifactError(`${source}: the fingerprints are not base64`);
    }
    if (binary.length % BYTES !== 0 || binary.length / BYTES > MAX_LINES) {
      throw new ArtifactError(
        `${source}: the fingerprints are ${binary.length} bytes; ` +
          `they must be ${BYTES} for each of at most ${MAX_LINES} lines`,
      );
    }
    const view = new DataView(Uint8Array.from(binary, (c) => c.charCodeAt(0)).buffer);
    const count = binary.length / BYTES;
    this.prints = BigUint64Array.from({ length: count }, (_, i) =>
      view.getBigUint64(BYTES * i, true),
    );
    if (this.prints.some((print, i, all) => i > 0 && print <= all[i - 1])) {
      throw new ArtifactError(`${source}: the fingerprints do not rise`);
    }
  }

  /** Whether a string is one of the lines. */
  has(text: string): boolean {
    const print = blake2b64(new TextEncoder().encode(text));
    let low = 0;
    let high = this.prints.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.prints[middle] < print) low = middle + 1;
      else high = middle;
    }
    return this.prints[low] === print;
  }
}
