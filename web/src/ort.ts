/** ONNX Runtime for browsers, loaded when a model is. */

import { OrtError } from './errors.js';
import type { Ort } from './step.js';

/** The module in a folder of a server. */
export async function ortAt(folder: URL): Promise<Ort> {
  const ort: Ort = await import(new URL('ort.wasm.min.mjs', folder).href);
  ort.env.wasm.wasmPaths = folder.href;
  return ort;
}

/** A module set to one thread, which needs no headers of a server; `OrtError` where there is none. */
export async function singleThreaded(load: () => Promise<Ort>): Promise<Ort> {
  try {
    const ort = await load();
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'error';
    return ort;
  } catch (error) {
    throw new OrtError(`onnxruntime-web cannot be loaded: ${(error as Error).message}`);
  }
}
