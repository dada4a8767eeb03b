/** One step of a model in ONNX Runtime, for a batch of rows, and the states of rows. */

import type { InferenceSession, Tensor } from 'onnxruntime-web';
import type { Artifact, StateSpec } from './artifact.js';
import { ArtifactError, OrtError } from './errors.js';

/** The part of the module onnxruntime-web that is used here. */
export type Ort = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor' | 'env'>;

/** Most bytes of the states of one batch; a batch has fewer rows where they would be more. */
const MAX_STATE_BYTES = 2 ** 25;

/** Most bytes of the states of all rows of a tree, each of which may wait with its own. */
const MAX_TREE_BYTES = 2 ** 27;

/** What holds the numbers of a state. */
const ARRAYS = { float32: Float32Array, float16: Uint16Array, int64: BigInt64Array };

/** The states of some rows: the bytes of each state, row after row. */
export type States = Uint8Array<ArrayBuffer>[];

/** What a step gives: logits (B, V) and the states after it. */
export interface StepResult {
  readonly logits: Float32Array;
  readonly states: States;
}

interface StateLayout {
  readonly spec: StateSpec;
  readonly rowBytes: number;
}

/** (token, position, states) -> (logits, states), of any number of rows, for any model. */
export class Step {
  readonly vocabSize: number;
  /** Most rows of a batch. */
  readonly maxRows: number;
  /** Most rows of a prefix tree. */
  readonly treeRows: number;
  private readonly layouts: StateLayout[];

  private constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
    artifact: Artifact,
    private readonly source: string,
  ) {
    this.vocabSize = artifact.vocabSize;
    this.layouts = artifact.states.map((spec) => ({
      spec,
      rowBytes: spec.shape.reduce(
        (product, size) => product * size,
        ARRAYS[spec.dtype].BYTES_PER_ELEMENT,
      ),
    }));
    const bytes = this.layouts.reduce((sum, { rowBytes }) => sum + rowBytes, 0);
    if (!(bytes <= MAX_STATE_BYTES)) {
      throw new ArtifactError(
        `${source}: the states of a row have ${bytes} bytes; the limit is ${MAX_STATE_BYTES}`,
      );
    }
    this.maxRows = Math.floor(MAX_STATE_BYTES / Math.max(bytes, 1));
    this.treeRows = Math.floor(MAX_TREE_BYTES / Math.max(bytes, 1));
  }

  /** Opens a model; `ArtifactError` where its metadata tell of another one, or it cannot run. */
  static async open(ort: Ort, bytes: Uint8Array, artifact: Artifact, source: string) {
    let session: InferenceSession;
    try {
      session = await ort.InferenceSession.create(bytes, {
        executionProviders: ['wasm'],
        logSeverityLevel: 3,
      });
    } catch (error) {
      throw new ArtifactError(`${source}: ONNX Runtime cannot open it: ${messageOf(error)}`);
    }
    try {
      checkContract(session, artifact, source);
      const step = new Step(ort, session, artifact, source);
      await step.run([0], [0], step.start(1)); // what cannot be computed is found now
      return step;
    } catch (error) {
      await session.release();
      throw error instanceof OrtError ? new ArtifactError(error.message) : error;
    }
  }

  /** The states of rows at their start: zeros. */
  start(rows: number): States {
    return this.layouts.map(({ rowBytes }) => new Uint8Array(rows * rowBytes));
  }

  /** A copy of one row of some states. */
  save(states: States, row: number): States {
    return states.map((state, i) => {
      const { rowBytes } = this.layouts[i];
      return state.slice(row * rowBytes, (row + 1) * rowBytes);
    });
  }

  /** Copies a row of some states to row `to` of others. */
  copy(from: States, row: number, into: States, to: number): void {
    this.layouts.forEach(({ rowBytes }, i) => {
      into[i].set(from[i].subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
    });
  }

  /** Feeds each row its token at its position. */
  async run(tokens: number[], positions: number[], states: States): Promise<StepResult> {
    const rows = tokens.length;
    const feeds: Record<string, Tensor> = {};
    const names = this.session.inputNames;
    feeds[names[0]] = this.integers(tokens);
    feeds[names[1]] = this.integers(positions);
    this.layouts.forEach(({ spec }, i) => {
      feeds[names[i + 2]] = this.tensor(spec, states[i], rows);
    });
    let results: Record<string, Tensor>;
    try {
      results = await this.session.run(feeds);
    } catch (error) {
      throw new OrtError(`${this.source}: a step failed: ${messageOf(error)}`);
    }
    const [logits, ...next] = this.session.outputNames.map((name) => results[name]);
    if (logits.size !== rows * this.vocabSize) {
      throw new ArtifactError(
        `${this.source}: a step of ${rows} rows gave ${logits.size} logits; ` +
          `it must give ${this.vocabSize} each`,
      );
    }
    const found = next.map((tensor) => bytesOf(tensor.data));
    found.forEach((state, i) => {
      const { spec, rowBytes } = this.layouts[i];
      if (state.length === rows * rowBytes) return;
      throw new ArtifactError(
        `${this.source}: of state ${spec.name} a step gave ${state.length} bytes; ` +
          `it must give ${rows * rowBytes}`,
      );
    });
    return { logits: logits.data as Float32Array, states: found };
  }

  /** Frees the model. */
  async close(): Promise<void> {
    await this.session.release();
  }

  private integers(values: number[]): Tensor {
    return new this.ort.Tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  private tensor(
    spec: StateSpec,
    { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
    rows: number,
  ) {
    const Numbers = ARRAYS[spec.dtype];
    const numbers = new Numbers(buffer, byteOffset, byteLength / Numbers.BYTES_PER_ELEMENT);
    return new this.ort.Tensor(spec.dtype, numbers, [rows, ...spec.shape]);
  }
}

function bytesOf(data: Tensor.DataType): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = data as Float32Array<ArrayBuffer>;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function checkContract(session: InferenceSession, artifact: Artifact, source: string): void {
  const inputs = session.inputMetadata.slice(2).map(described);
  const outputs = session.outputMetadata.length - 1;
  const states = artifact.states.map(
    ({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`,
  );
  for (let i = 0; i < Math.max(states.length, inputs.length); ++i) {
    if (states[i] === inputs[i]) continue;
    const [named, taken] = [states[i] ?? 'no more', inputs[i] ?? 'no more'];
    throw new ArtifactError(`${source}: the metadata names state ${named}, the model has ${taken}`);
  }
  if (outputs !== states.length) {
    throw new ArtifactError(
      `${source}: the model has ${inputs.length} states and gives ${outputs}`,
    );
  }
  const logits = session.outputMetadata[0];
  const columns = logits.isTensor ? logits.shape[1] : undefined;
  if (!logits.isTensor || logits.type !== 'float32' || columns !== artifact.vocabSize) {
    throw new ArtifactError(
      `${source}: the vocabulary has ${artifact.vocabSize} tokens, ` +
        `the model gives ${columns} logits`,
    );
  }
}

/** Name, type and shape of an input, the batch axis left out. */
function described(value: InferenceSession.ValueMetadata): string {
  if (!value.isTensor) return `${value.name}, which is no tensor`;
  return `${value.name} ${value.type} [${value.shape.slice(1).join(', ')}]`;
}
