/** From a file to a sampler. */

import { ArtifactError } from './errors.js';
import { fetchFile } from './fetch_file.js';
import { Fingerprints } from './fingerprints.js';
import { openEngine } from './open_engine.js';
import { ortAt, singleThreaded } from './ort.js';
import { Sampler } from './sampler.js';
import type { Ort } from './step.js';

/** Most bytes of a file, unless a caller allows more. */
const MAX_BYTES = 2 ** 29;

const FINGERPRINTS_KEY = 'makemore.lines';

export interface LoadOptions {
  /**
   * The module onnxruntime-web, or the URL of a folder with its files `ort.wasm.min.mjs`,
   * `ort-wasm-simd-threaded.mjs` and `ort-wasm-simd-threaded.wasm`. [the installed package]
   */
  ort?: Ort | string | URL;
  /** Most bytes of the file. [2 ** 29] */
  maxBytes?: number;
}

/**
 * Opens an artifact: its folder or `model.onnx`, by URL or, in Node, by path; or its bytes.
 *
 * Raises `ArtifactError` for what is no artifact, too new or larger than it may be; `OrtError` where
 * ONNX Runtime cannot be had.
 */
export async function load(
  source: string | URL | ArrayBuffer | Uint8Array,
  options: LoadOptions = {},
): Promise<Sampler> {
  const { maxBytes = MAX_BYTES } = options;
  const given = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  const name = given instanceof Uint8Array ? 'the artifact' : String(given);
  const bytes = given instanceof Uint8Array ? given : await readSource(name, maxBytes);
  if (bytes.length > maxBytes) throw tooLarge(name, bytes.length, maxBytes);
  const { engine, metadata } = await openEngine(bytes, name, () => openOrt(options.ort));
  const lines = metadata.get(FINGERPRINTS_KEY)?.slice();
  let known: Fingerprints | undefined;
  const fingerprints = () => {
    if (lines !== undefined) known ??= new Fingerprints(lines, name);
    return known;
  };
  return new Sampler(engine, fingerprints);
}

async function openOrt(given: LoadOptions['ort']): Promise<Ort> {
  if (typeof given === 'object' && 'InferenceSession' in given) return given;
  if (given === undefined) return singleThreaded(() => import('onnxruntime-web/wasm'));
  return singleThreaded(() =>
    ortAt(new URL(`${given}`.replace(/\/?$/, '/'), globalThis.location?.href)),
  );
}

/** A source that ends in no file of ONNX is a folder. */
async function readSource(source: string, maxBytes: number): Promise<Uint8Array> {
  const isFile = /\.onnx([?#].*)?$|^(blob|data):/.test(source);
  const file = isFile ? source : `${source.replace(/\/$/, '')}/model.onnx`;
  return isPath(file) ? readFile(file, maxBytes) : fetchBytes(file, maxBytes);
}

function isPath(source: string): boolean {
  return !globalThis.location && (!/^[a-z]+:/i.test(source) || source.startsWith('file:'));
}

async function readFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const { open } = await import('node:fs/promises');
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path.startsWith('file:') ? new URL(path) : path);
  } catch (error) {
    throw new ArtifactError(`${path}: it cannot be read: ${(error as Error).message}`);
  }
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw tooLarge(path, size, maxBytes);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function fetchBytes(url: string, maxBytes: number): Promise<Uint8Array> {
  const { body } = await fetchFile(url);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = (body ?? new Blob().stream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > maxBytes) {
      await reader.cancel();
      throw tooLarge(url, size, maxBytes);
    }
    parts.push(part.value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function tooLarge(name: string, size: number, maxBytes: number): ArtifactError {
  return new ArtifactError(`${name}: it has ${size} bytes or more; maxBytes is ${maxBytes}`);
}
