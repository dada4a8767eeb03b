/** The distribution of the next token after prefixes, of what can still pass a filter. */

import { STOP } from './decoder.js';
import type { Draw, Engine, Plan } from './engine.js';

/** What may follow prefixes, which are ids after a prompt that all have. */
export class NextTokens {
  constructor(
    readonly engine: Engine,
    readonly plan: Plan,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** The filter's state after the prompt. */
  get start(): number {
    return this.plan.prompt.reduce((state, token) => this.stateAfter(state, token), 0);
  }

  stateAfter(state: number, token: number): number {
    return this.plan.filter?.next(state, token) ?? state;
  }

  /** Whether a string passes that ends in that state of the filter. */
  mayEnd(state: number): boolean {
    return this.plan.filter?.canPass(state, 0) ?? true;
  }

  /** Whether a string ends after so many ids, whatever would follow. */
  isCut(length: number): boolean {
    return this.plan.prompt.length + length >= this.plan.maxLength;
  }

  /**
   * (V,) probabilities after each prefix, 0 for a token after which no string can pass, and for all
   * of them after a string that is cut.
   */
  async after(
    prefixes: readonly (readonly number[])[],
    states: readonly number[],
  ): Promise<Float64Array[]> {
    const { filter, prompt, maxLength } = this.plan;
    const whole = prefixes.map((prefix) => [...prompt, ...prefix]);
    const found = new Array<Float64Array>(whole.length);
    const distribution = (row: number, probabilities: Float64Array) => {
      found[row] = this.isCut(prefixes[row].length) ? probabilities.map(() => 0) : probabilities;
    };
    await this.engine.decodePrompts(whole, this.plan, { distribution }, this.signal);
    if (filter === undefined) return found;
    return found.map((probabilities, row) => {
      const left = maxLength - 1 - whole[row].length;
      return probabilities.map((probability, token) => {
        const state = filter.next(states[row], token);
        return filter.canPass(state, token === STOP ? 0 : left) ? probability : 0;
      });
    });
  }
}

/** A token that may follow: its id, its text, "" for the stop, and its probability. */
export interface NextToken {
  readonly id: number;
  readonly token: string;
  readonly prob: number;
}

/** The tokens that may follow a prompt, the likeliest first; see `Sampler.nextTokens`. */
export async function nextTokens(
  engine: Engine,
  prompt: readonly number[],
  draw: Draw,
  signal?: AbortSignal,
): Promise<NextToken[]> {
  let probabilities = new Float64Array();
  const distribution = (_: number, found: Float64Array) => {
    probabilities = found as Float64Array<ArrayBuffer>;
  };
  await engine.decodePrompts([prompt], draw, { distribution }, signal);
  const { firstLabel, labels } = engine.vocabulary;
  return Array.from(probabilities, (prob, id) => ({
    id,
    token: labels[id - firstLabel] ?? engine.vocabulary.textOf(id),
    prob,
  }))
    .filter(({ prob }) => prob > 0)
    .sort((a, b) => b.prob - a.prob);
}
