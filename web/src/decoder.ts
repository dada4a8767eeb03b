/** Rows decoded as a tree: those that have the same tokens so far take one row of the step. */

import type { Cancellation } from './cancellation.js';
import type { Coins } from './coin.js';
import { Distribution, logSumExp, type SamplingOptions } from './distribution.js';
import type { RowFilter } from './row_filter.js';
import type { States, Step } from './step.js';

/** Token 0 is fed first, and ends a string when it is chosen. */
export const STOP = 0;

/** What is noted of prompts beside the strings. Rows end with their prompts then. */
export interface Records {
  /** The probabilities (V,) of the token after a row's prompt. */
  distribution?(row: number, probabilities: Float64Array): void;
  /** The natural-log probability of a prompt's token. */
  tokenLogProb?(row: number, position: number, logProb: number): void;
}

/** Other logits (V,) for a string with these ids so far; those that are given stay as they are. */
export type Adjust = (logits: Float32Array, ids: readonly number[]) => Float32Array;

export interface Request {
  readonly rows: number;
  readonly firstRow: bigint;
  readonly coins: Coins;
  /** The tokens that rows are forced to begin with: one prompt for all, or one of each. */
  readonly prompt: (row: number) => readonly number[];
  /** Most tokens of a string. */
  readonly maxLength: number;
  readonly sampling: SamplingOptions;
  readonly adjust: Adjust | undefined;
  readonly filter: RowFilter | undefined;
  readonly batchSize: number;
  readonly logProbs: boolean;
  readonly records?: Records;
}

/** A string that rows came to, which equal ones share. */
export interface Decoded {
  readonly ids: readonly number[];
  /** Under the model itself, in nats; 0 where it was not asked for. */
  readonly logProb: number;
  /** Whether the stop token came; else it was cut at the longest length. */
  readonly stopped: boolean;
}

/** A prefix: its last token, and the prefix before it. */
interface Prefix {
  readonly token: number;
  readonly before: Prefix | undefined;
}

/** Rows with the same tokens so far. */
interface Group {
  readonly rows: readonly number[];
  readonly prefix: Prefix | undefined;
  readonly token: number; // the last one, which the next step is fed
  readonly position: number;
  readonly logProb: number;
  readonly filterState: number;
  readonly parent: number; // the row of the last step that it was part of
  saved: States | undefined; // its state, where that is no more in that row
}

/**
 * Decodes all rows of a request. Place r of the result is row r's string, undefined where it does
 * not pass the filter. Pending groups lie on a stack, and a step takes as many from its top as it
 * may, so that steps are full and few groups wait.
 */
export class PrefixTreeDecoder {
  private readonly found: (Decoded | undefined)[];
  private readonly distribution: Distribution;
  private readonly pending: Group[] = [];
  private firstUnsaved = 0; // of pending: those below it have saved their states
  private states: States = [];
  private readonly rowLow: number;
  private readonly rowHigh: number;

  constructor(
    private readonly step: Step,
    private readonly request: Request,
    private readonly cancellation: Cancellation,
  ) {
    this.found = new Array(request.rows).fill(undefined);
    this.distribution = new Distribution(request.sampling, step.vocabSize);
    this.rowLow = Number(request.firstRow & 0xffffffffn);
    this.rowHigh = Number(request.firstRow >> 32n);
  }

  /** Decodes tree after tree, of as many rows each as memory has room for while they wait. */
  async run(): Promise<(Decoded | undefined)[]> {
    const { rows } = this.request;
    const together = this.step.treeRows;
    for (let first = 0; first < rows; first += together) {
      this.pending.push({
        rows: Array.from({ length: Math.min(together, rows - first) }, (_, row) => first + row),
        prefix: undefined,
        token: STOP,
        position: 0,
        logProb: 0,
        filterState: 0,
        parent: 0,
        saved: this.step.start(1),
      });
      await this.decodePending();
    }
    return this.found;
  }

  private async decodePending(): Promise<void> {
    const batchSize = Math.min(this.request.batchSize, this.step.maxRows);
    while (this.pending.length > 0) {
      await this.cancellation.check();
      const rest = Math.max(this.pending.length - batchSize, 0);
      this.savePending(rest);
      const groups = this.pending.splice(rest);
      const states = this.statesOf(groups);
      const tokens = groups.map((group) => group.token);
      const positions = groups.map((group) => group.position);
      const result = await this.step.run(tokens, positions, states);
      this.states = result.states;
      const size = this.step.vocabSize;
      groups.forEach((group, row) => {
        this.split(group, row, result.logits.subarray(row * size, (row + 1) * size));
      });
    }
  }

  /** Saves the states of the groups that stay, before the step's are dropped. */
  private savePending(end: number): void {
    for (; this.firstUnsaved < end; ++this.firstUnsaved) {
      const group = this.pending[this.firstUnsaved];
      group.saved ??= this.step.save(this.states, group.parent);
    }
    this.firstUnsaved = end;
  }

  private statesOf(groups: Group[]): States {
    const states = this.step.start(groups.length);
    groups.forEach(({ saved, parent }, row) => {
      if (saved === undefined) this.step.copy(this.states, parent, states, row);
      else this.step.copy(saved, 0, states, row);
    });
    return states;
  }

  /** Each row of a group gets its next token; rows with the same one stay together. */
  private split(group: Group, parent: number, logits: Float32Array): void {
    const together = this.tokensOf(group, logits);
    const { request } = this;
    const normalizer = request.logProbs ? logSumExp(logits) : 0;
    for (const [token, rows] of together) {
      const filterState = request.filter?.next(group.filterState, token) ?? 0;
      const left = token === STOP ? 0 : request.maxLength - group.position - 1;
      if (request.filter !== undefined && !request.filter.canPass(filterState, left)) continue;
      const ofToken = request.logProbs ? logits[token] : 0;
      const next: Group = {
        rows,
        prefix: token === STOP ? group.prefix : { token, before: group.prefix },
        token,
        position: group.position + 1,
        logProb: group.logProb + ofToken - normalizer,
        filterState,
        parent,
        saved: undefined,
      };
      this.record(next, ofToken - normalizer);
      if (token !== STOP && left > 0) this.pending.push(next);
      else this.finish(next, token === STOP);
    }
  }

  /** The rows of a group by their next tokens. */
  private tokensOf(group: Group, logits: Float32Array): Map<number, number[]> {
    const together = new Map<number, number[]>();
    let prepared = false;
    for (const row of group.rows) {
      let token = this.request.prompt(row)[group.position];
      if (token === undefined) {
        if (!prepared) this.prepare(group, logits);
        prepared = true;
        token = this.draw(row, group.position);
      }
      const others = together.get(token);
      if (others === undefined) together.set(token, [row]);
      else others.push(row);
    }
    return together;
  }

  private draw(row: number, position: number): number {
    if (this.request.records !== undefined) {
      this.request.records.distribution?.(row, this.distribution.probabilities());
      return STOP;
    }
    const low = this.rowLow + row;
    const carry = low >= 2 ** 32 ? 1 : 0;
    const coin = this.request.coins.at(low >>> 0, this.rowHigh + carry, position);
    return this.distribution.pick(coin);
  }

  private prepare(group: Group, logits: Float32Array): void {
    const { adjust } = this.request;
    this.distribution.prepare(adjust ? adjust(logits, idsOf(group.prefix)) : logits);
  }

  private record(group: Group, logProb: number): void {
    const { records, prompt } = this.request;
    if (records?.tokenLogProb === undefined) return;
    const position = group.position - 1;
    for (const row of group.rows) {
      if (position < prompt(row).length) records.tokenLogProb(row, position, logProb);
    }
  }

  private finish(group: Group, stopped: boolean): void {
    const decoded = { ids: idsOf(group.prefix), logProb: group.logProb, stopped };
    for (const row of group.rows) this.found[row] = decoded;
  }
}

function idsOf(prefix: Prefix | undefined): number[] {
  const ids: number[] = [];
  for (let at = prefix; at !== undefined; at = at.before) ids.push(at.token);
  return ids.reverse();
}
