/** The metadata of an ONNX file, read from its bytes: onnxruntime-web does not give them. */

import { ArtifactError } from './errors.js';

const METADATA_PROPS = 14; // of ModelProto
const [KEY, VALUE] = [1, 2]; // of StringStringEntryProto
const MAX_ENTRIES = 1000;

/** The entries of `metadata_props` of a ModelProto. `ArtifactError` where the bytes are none. */
export function readMetadata(bytes: Uint8Array, source: string): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  for (const [field, entry] of fieldsOf(bytes, source)) {
    if (field !== METADATA_PROPS) continue;
    if (entries.size >= MAX_ENTRIES) {
      throw new ArtifactError(`${source}: more than ${MAX_ENTRIES} entries of metadata`);
    }
    let key = '';
    let value = new Uint8Array();
    for (const [part, content] of fieldsOf(entry, source)) {
      if (part === KEY) key = new TextDecoder().decode(content);
      if (part === VALUE) value = content as Uint8Array<ArrayBuffer>;
    }
    entries.set(key, value);
  }
  return entries;
}

/** The fields of a message that hold bytes, each with its number. */
function* fieldsOf(bytes: Uint8Array, source: string): Generator<[number, Uint8Array]> {
  const reader = new Reader(bytes, source);
  while (!reader.atEnd) {
    const tag = reader.varint();
    const [field, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) reader.varint();
    else if (wireType === 1) reader.take(8);
    else if (wireType === 2) yield [field, reader.take(reader.varint())];
    else if (wireType === 5) reader.take(4);
    else throw new ArtifactError(`${source}: it is no ONNX file: a field has type ${wireType}`);
  }
}

class Reader {
  private at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly source: string,
  ) {}

  get atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) throw this.broken();
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** An integer of up to 64 bits; above 2^53 its last digits are lost, which no size has. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const [byte] = this.take(1);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.broken();
  }

  private broken(): ArtifactError {
    return new ArtifactError(`${this.source}: it is no ONNX file, or not all of one`);
  }
}
