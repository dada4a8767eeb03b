/** The distribution of the next token after prefixes, of what can still pass a filter. */

import { STOP } from './decoder.js';
import type { Engine, Plan } from './engine.js';

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

  /** Whether a string ends after so many ids, whatever would follow. */
  isCut(length: number): boolean {
    return this.plan.prompt.length + length >= this.plan.maxLength;
  }

  /** (V,) probabilities after each prefix, 0 for a token after which no string can pass. */
  async after(
    prefixes: readonly (readonly number[])[],
    states: readonly number[],
  ): Promise<Float64Array[]> {
    const { filter, prompt, maxLength } = this.plan;
    const whole = prefixes.map((prefix) => [...prompt, ...prefix]);
    const found = new Array<Float64Array>(whole.length);
    const distribution = (row: number, probabilities: Float64Array) => {
      found[row] = probabilities;
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
