/** The most likely strings, by best-first search over the tree of prefixes. */

import { STOP } from './decoder.js';
import { grouped, OptionError } from './errors.js';
import type { NextTokens } from './next_tokens.js';

/** Prefixes that a search keeps at most. */
const MAX_PREFIXES = 2 ** 20;

/** Prefixes that are expanded together: few before a bound is known. */
const [FIRST_BATCH, BATCH] = [16, 1024];

/** Strings, the likeliest first, their probabilities, and the sum of these. */
export interface MostLikely {
  readonly strings: readonly string[];
  readonly probabilities: readonly number[];
  readonly mass: number;
}

interface Prefix {
  readonly ids: readonly number[];
  readonly logProb: number;
  readonly state: number; // of the filter
}

interface Candidate {
  readonly ids: readonly number[];
  readonly logProb: number;
  readonly text: string;
}

/**
 * Finds the k likeliest strings that pass; one that can be cut into words or tokens in several ways
 * is as likely as the likeliest of them.
 *
 * A prefix is at least as likely as every string that begins with it, so that the search is over
 * once no prefix is as likely as the k-th string (best-first search; Russell and Norvig, Artificial
 * Intelligence, section 3.5).
 */
export class BestFirstSearch {
  private found: Candidate[] = [];
  private bound = -Infinity; // log-probability of the k-th string

  constructor(
    private readonly nextTokens: NextTokens,
    private readonly passes: (text: string) => boolean,
    private readonly k: number,
  ) {}

  /** `OptionError` where more prefixes would have to be kept than the limit. */
  async run(): Promise<MostLikely> {
    const { start } = this.nextTokens;
    let open: Prefix[] = [{ ids: [], logProb: 0, state: start }];
    if (this.nextTokens.isCut(0)) {
      open = []; // the prompt is the only string
      if (this.k > 0 && this.nextTokens.mayEnd(start)) this.add([], 0);
    }
    for (let size = FIRST_BATCH; open.length > 0 && this.k > 0; size = Math.min(2 * size, BATCH)) {
      open.sort((a, b) => b.logProb - a.logProb);
      const grown = await this.expand(open.splice(0, size));
      open = [...open, ...grown].filter(({ logProb }) => logProb >= this.bound);
      if (open.length > MAX_PREFIXES) {
        throw new OptionError(
          `k is ${this.k}; to find so many strings more than ${grouped(MAX_PREFIXES)} prefixes ` +
            'would have to be kept, the limit: ask for fewer, or with a lower temperature',
        );
      }
    }
    const probabilities = this.found.map(({ logProb }) => Math.exp(logProb));
    return {
      strings: this.found.map(({ text }) => text),
      probabilities,
      mass: probabilities.reduce((sum, each) => sum + each, 0),
    };
  }

  /** Finds the strings that end after these prefixes; returns those that go on. */
  private async expand(prefixes: readonly Prefix[]): Promise<Prefix[]> {
    const all = await this.nextTokens.after(
      prefixes.map(({ ids }) => ids),
      prefixes.map(({ state }) => state),
    );
    const grown: Prefix[] = [];
    prefixes.forEach(({ ids, logProb, state }, row) => {
      const cut = this.nextTokens.isCut(ids.length + 1);
      all[row].forEach((probability, token) => {
        const next = logProb + Math.log(probability);
        if (probability === 0 || next < this.bound) return;
        const whole = token === STOP ? ids : [...ids, token];
        if (token === STOP || cut) this.add(whole, next);
        else {
          grown.push({
            ids: whole,
            logProb: next,
            state: this.nextTokens.stateAfter(state, token),
          });
        }
      });
    });
    return grown;
  }

  /** Keeps a string if it is among the k likeliest so far. Ties are in the order of their ids. */
  private add(ids: readonly number[], logProb: number): void {
    const { engine, plan } = this.nextTokens;
    const text = engine.vocabulary.decode([...plan.prompt, ...ids]);
    if (!this.passes(text)) return;
    const string = { ids, logProb, text };
    const same = this.found.findIndex((other) => other.text === text); // cut in another way
    if (same >= 0 && inOrder(string, this.found[same]) > 0) return;
    if (same >= 0) this.found.splice(same, 1);
    const at = this.found.findIndex((other) => inOrder(string, other) < 0);
    this.found.splice(at < 0 ? this.found.length : at, 0, string);
    this.found.length = Math.min(this.found.length, this.k);
    if (this.found.length === this.k) this.bound = this.found[this.k - 1].logProb;
  }
}

function inOrder(a: Candidate, b: Candidate): number {
  if (a.logProb !== b.logProb) return b.logProb - a.logProb;
  const differs = a.ids.findIndex((id, i) => id !== b.ids[i]);
  if (differs < 0) return a.ids.length - b.ids.length;
  return differs >= b.ids.length ? 1 : a.ids[differs] - b.ids[differs];
}
