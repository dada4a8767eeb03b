/** What an artifact says about itself: one JSON string in its file. docs/artifact.md has it all. */

import { ArtifactError, quoted } from './errors.js';
import { Fields } from './json_fields.js';
import { isWord } from './words.js';

/** The newest artifact schema that this version reads; it reads every one from 1 on. */
export const SCHEMA = 3;

const MAX_METADATA = 2 ** 24;
const LENGTH_LIMIT = 100_000;
const MAX_BLOCK = 2 ** 31 - 1;
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

const LEVELS = ['character', 'word', 'token'] as const;
const DTYPES = ['float32', 'float16', 'int64'] as const;

/** What a token is. */
export type Level = (typeof LEVELS)[number];

/** A state of the step; `shape` leaves the batch axis out. */
export interface StateSpec {
  readonly name: string;
  readonly dtype: (typeof DTYPES)[number];
  readonly shape: readonly number[];
}

export interface Artifact {
  /** Kind of the model, for people, and its number of weights. */
  readonly model: { readonly type: string; readonly parameters: number };
  readonly level: Level;
  /** Token i > 0 is `tokens[i - 1]`; token 0 starts and stops a string. */
  readonly tokens: readonly string[];
  /** Of level "token", the expression that cuts a string; null: the longest tokens. */
  readonly splitPattern: string | null;
  /** What every string begins with, which is no part of its text. */
  readonly labels: readonly string[];
  /** V: the start and stop token, labels and, of words, the unknown one counted. */
  readonly vocabSize: number;
  /** Positions that the step knows; null: any. */
  readonly blockSize: number | null;
  /** Most tokens of a string by default. */
  readonly maxLength: number;
  readonly states: readonly StateSpec[];
  /** Nats a token by split of the training text; null: infinite. Empty where it is not known. */
  readonly losses: Readonly<Record<string, number | null>>;
  /** Samples with default options that every runtime gives. */
  readonly golden: { readonly seed: number; readonly strings: readonly string[] };
}

/** Reads the metadata of a file; `ArtifactError` says what is wrong and where. */
export function parseArtifact(json: Uint8Array, source: string): Artifact {
  if (json.length > MAX_METADATA) {
    throw new ArtifactError(
      `${source}: ${json.length} bytes of metadata; the limit is ${MAX_METADATA}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
  } catch (error) {
    throw new ArtifactError(`${source}: bad makemore metadata: ${(error as Error).message}`);
  }
  const fields = Fields.of(value, `${source}: metadata`);
  const schema = fields.integer('schema', 1, MAX_INTEGER);
  if (schema > SCHEMA) {
    throw new ArtifactError(
      `${source}: artifact schema ${schema} is newer than ${SCHEMA}, ` +
        'the newest that this version of makemore reads',
    );
  }
  const artifact = read(fields, schema);
  checkTokens(artifact, source);
  checkLengths(artifact, source);
  return artifact;
}

function read(fields: Fields, schema: number): Artifact {
  const level = schema === 1 ? 'character' : fields.oneOf('level', LEVELS);
  const tokens = fields.strings(schema === 1 ? 'characters' : 'tokens');
  const labels = fields.has('labels') ? fields.strings('labels') : [];
  const model = fields.object('model');
  const golden = fields.object('golden');
  return {
    model: {
      type: model.string('type'),
      parameters: model.integer('parameters', 0, MAX_INTEGER),
    },
    level,
    tokens,
    splitPattern: fields.has('split_pattern') ? fields.string('split_pattern') : null,
    labels,
    vocabSize: tokens.length + (level === 'word' ? 2 : 1) + labels.length,
    blockSize: fields.has('block_size') ? fields.integer('block_size', 2, MAX_BLOCK) : null,
    maxLength: fields.integer('max_length', 1, LENGTH_LIMIT),
    states: fields.objects('states').map((state) => ({
      name: state.string('name'),
      dtype: state.oneOf('dtype', DTYPES),
      shape: state.integers('shape', 1, MAX_BLOCK),
    })),
    losses: fields.has('training') ? fields.object('training').numbers('losses') : {},
    golden: {
      seed: golden.integer('seed', 0, 2 ** 64),
      strings: golden.strings('strings', MAX_METADATA),
    },
  };
}

function checkTokens({ level, tokens, labels, splitPattern }: Artifact, source: string): void {
  if (splitPattern !== null && level !== 'token') {
    throw new ArtifactError(`${source}: split_pattern is for level 'token', not '${level}'`);
  }
  if (tokens.length === 0) {
    throw new ArtifactError(`${source}: tokens is empty; at least 1 is needed`);
  }
  const forms = {
    character: { holds: (token: string) => [...token].length === 1, words: '1 code point' },
    token: { holds: (token: string) => token !== '', words: '1 code point or more' },
    word: { holds: isWord, words: 'a word, at most 1 space before' },
  };
  tokens.forEach((token, i) => {
    if (forms[level].holds(token)) return;
    throw new ArtifactError(
      `${source}: tokens[${i}] is ${quoted(token)}; it must be ${forms[level].words}`,
    );
  });
  for (const [name, values] of Object.entries({ tokens, labels })) {
    const seen = new Set<string>();
    for (const value of values) {
      if (seen.has(value)) {
        throw new ArtifactError(`${source}: ${name} holds ${quoted(value)} more than once`);
      }
      seen.add(value);
    }
  }
}

function checkLengths({ blockSize, maxLength, labels, level }: Artifact, source: string): void {
  if (blockSize === null) return;
  const most = blockSize - 1 - (labels.length > 0 ? 1 : 0);
  if (maxLength > most) {
    throw new ArtifactError(
      `${source}: max_length is ${maxLength}, ` +
        `but a block of ${blockSize} holds ${most} ${level}s`,
    );
  }
}
