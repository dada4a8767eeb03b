/** A model that is loaded, and what the options of a call mean for it. */

import type { Artifact } from './artifact.js';
import { Cancellation } from './cancellation.js';
import { Coins } from './coin.js';
import {
  type Adjust,
  type Decoded,
  PrefixTreeDecoder,
  type Records,
  type Request,
} from './decoder.js';
import type { SamplingOptions } from './distribution.js';
import { OptionError, quoted, shown } from './errors.js';
import type { PromptOptions, RowOptions, TokenOptions } from './options.js';
import type { RowFilter } from './row_filter.js';
import type { Step } from './step.js';
import type { Vocabulary } from './vocabulary.js';

/** How tokens are drawn, and how many rows at a time. */
export interface Draw {
  readonly sampling: SamplingOptions;
  readonly adjust: Adjust | undefined;
  readonly batchSize: number;
}

/** What the options of a call mean for a model. */
export interface Plan extends Draw {
  /** Ids that every string begins with, its label's first. */
  readonly prompt: readonly number[];
  /** Most tokens of a string, its label counted. */
  readonly maxLength: number;
  readonly filter: RowFilter | undefined;
}

/** A model and its step. One call at a time runs it; others wait for their turn. */
export class Engine {
  private turn: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    readonly artifact: Artifact,
    readonly vocabulary: Vocabulary,
    private readonly step: Step,
  ) {}

  /** How many tokens of each string are its label: 1, or 0 without labels. */
  get labelTokens(): number {
    return this.vocabulary.labels.length > 0 ? 1 : 0;
  }

  /** `OptionError` where the model knows no string so long, its label not counted. */
  checkLength(length: number, what: string): void {
    const { blockSize, level } = this.artifact;
    if (blockSize === null || length <= blockSize - 1 - this.labelTokens) return;
    throw new OptionError(
      `${what} ${length} ${level}s; ` +
        `a block of ${blockSize} holds ${blockSize - 1 - this.labelTokens}`,
    );
  }

  /** `OptionError` where the model has labels and none is given. */
  requireLabel(label: string | undefined, what: string): void {
    if (label !== undefined || this.labelTokens === 0) return;
    const labels = this.vocabulary.labels.map(quoted).join(', ');
    throw new OptionError(`${what} needs the label of a string, one of ${labels}`);
  }

  /** Ids of a string as `score` takes it, start and stop left out. */
  encode(text: string): number[] {
    const ids = this.vocabulary.encode(text);
    this.checkLength(ids.length, `${shown(text)} has`);
    return ids;
  }

  maxLengthOf({ maxLength }: PromptOptions): number {
    if (maxLength === undefined) return this.artifact.maxLength + this.labelTokens;
    this.checkLength(maxLength, 'maxLength is');
    return maxLength + this.labelTokens;
  }

  promptOf(options: PromptOptions): number[] {
    const { prefix, label } = options;
    const ids = this.vocabulary.prompt(prefix);
    const most = this.maxLengthOf(options) - this.labelTokens;
    if (ids.length > most) {
      throw new OptionError(
        `prefix ${shown(prefix)} has ${ids.length} ${this.artifact.level}s; maxLength is ${most}`,
      );
    }
    if (label !== undefined) return [this.vocabulary.labelId(label), ...ids];
    if (ids.length > 0) this.requireLabel(undefined, `prefix ${shown(prefix)}`);
    return ids;
  }

  samplingOf({ temperature, topK, topP, minP, exclude }: TokenOptions): SamplingOptions {
    const excluded = this.vocabulary.mask(exclude);
    let allowed: Uint8Array | undefined;
    if (excluded.length > 0) {
      allowed = new Uint8Array(this.vocabulary.size).fill(1);
      for (const id of excluded) allowed[id] = 0;
    }
    return { temperature, topK, topP, minP, allowed };
  }

  /** The strings of some rows, undefined for those that do not pass. */
  decodeRows(plan: Plan, rows: number, options: RowOptions, firstRow: bigint, logProbs: boolean) {
    return this.decode(
      {
        rows,
        firstRow,
        coins: new Coins(options.seed),
        prompt: () => plan.prompt,
        maxLength: plan.maxLength,
        sampling: plan.sampling,
        adjust: plan.adjust,
        filter: plan.filter,
        batchSize: plan.batchSize,
        logProbs,
      },
      options.signal,
    );
  }

  /** Decodes prompts to their ends, and notes what `records` wants. */
  decodePrompts(
    prompts: readonly (readonly number[])[],
    draw: Draw,
    records: Records,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return this.decode(
      {
        ...draw,
        rows: prompts.length,
        firstRow: 0n,
        coins: new Coins(0n),
        prompt: (row) => prompts[row],
        maxLength: prompts.reduce((most, { length }) => Math.max(most, length), 0) + 1,
        filter: undefined,
        logProbs: records.tokenLogProb !== undefined,
        records,
      },
      signal,
    );
  }

  /** Frees the model when the calls that run have ended; later ones raise `OptionError`. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.turn;
    await this.step.close();
  }

  private async decode(request: Request, signal?: AbortSignal): Promise<(Decoded | undefined)[]> {
    if (this.closed) throw new OptionError('this sampler is closed');
    const cancellation = new Cancellation(signal);
    const run = this.turn.then(() => new PrefixTreeDecoder(this.step, request, cancellation).run());
    this.turn = run.catch(() => undefined);
    return run;
  }
}
