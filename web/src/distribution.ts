/** From logits and a coin to a token. The arithmetic is that of docs/artifact.md, bit for bit. */

import { ArtifactError, OptionError } from './errors.js';

const LOG2_HIGH = 0x162e42fefa3800 * 2 ** -53;
const LOG2_LOW = 0x1ef35793c76730 * 2 ** -97;
const TO_INTEGER = 1.5 * 2 ** 52; // added, it rounds to an integer
const LOWEST = -708;
const POWERS = Float64Array.from({ length: 1023 }, (_, n) => 2 ** -n);

/** Of the Taylor series of e^x, the highest first: 1 / 13!, 1 / 12!, ..., 1 / 0!. */
const COEFFICIENTS = Float64Array.from(
  [6227020800, 479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1],
  (factorial) => 1 / factorial,
);

/** e^x for x <= 0, as makemore's C++ computes it: the same bits on every machine. */
export function expOfNegative(x: number): number {
  if (x < LOWEST) return 0;
  const n = x * Math.LOG2E + TO_INTEGER - TO_INTEGER;
  const r = x - n * LOG2_HIGH - n * LOG2_LOW;
  let sum = COEFFICIENTS[0];
  for (let i = 1; i < COEFFICIENTS.length; ++i) sum = sum * r + COEFFICIENTS[i];
  return sum * POWERS[-n];
}

/** How a token is chosen, and which tokens never are. */
export interface SamplingOptions {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** (V,) 1 for each token that may be drawn; undefined: any may. */
  readonly allowed: Uint8Array | undefined;
}

/** The distribution of one token: exclude, temperature, top k, top p, min p, in this order. */
export class Distribution {
  /** (V,) the running sum of the weights, in the order of ids. */
  readonly cumulative: Float64Array;
  private readonly weights: Float64Array;
  private readonly truncates: boolean;

  constructor(
    private readonly options: SamplingOptions,
    private readonly vocabSize: number,
  ) {
    this.cumulative = new Float64Array(vocabSize);
    this.weights = new Float64Array(vocabSize);
    this.truncates = options.topK > 0 || options.topP < 1 || options.minP > 0;
  }

  /** Takes the logits (V,) of a row. `ArtifactError` for NaN, infinity or no token at all. */
  prepare(logits: Float32Array): void {
    const { weights, cumulative } = this;
    const { allowed, temperature } = this.options;
    let highest = -Infinity;
    for (let id = 0; id < this.vocabSize; ++id) {
      const logit = logits[id];
      if (Number.isNaN(logit)) throw new ArtifactError("the model's logits hold NaN");
      weights[id] = allowed === undefined || allowed[id] !== 0 ? logit : -Infinity;
      if (weights[id] > highest) highest = weights[id];
    }
    if (highest === Infinity) throw new ArtifactError("the model's logits hold +inf");
    if (highest === -Infinity) throw noToken(allowed !== undefined);
    if (temperature === 0) {
      const chosen = weights.indexOf(highest);
      weights.fill(0);
      weights[chosen] = 1;
    } else {
      for (let id = 0; id < this.vocabSize; ++id) {
        weights[id] = expOfNegative((weights[id] - highest) / temperature);
      }
      if (this.truncates) this.truncate(logits);
    }
    let sum = 0;
    for (let id = 0; id < this.vocabSize; ++id) {
      sum += weights[id];
      cumulative[id] = sum;
    }
  }

  private truncate(logits: Float32Array): void {
    const { weights } = this;
    const { allowed, topK, topP, minP } = this.options;
    const order = Array.from(weights.keys()).sort((a, b) => {
      if (allowed !== undefined && allowed[a] !== allowed[b]) return allowed[b] - allowed[a];
      if (logits[a] === logits[b]) return a - b;
      return logits[a] > logits[b] ? -1 : 1;
    });
    let kept = topK > 0 ? Math.min(topK, order.length) : order.length;
    if (topP < 1) {
      let mass = 0;
      for (let i = 0; i < kept; ++i) mass += weights[order[i]];
      const enough = topP * mass;
      let smallest = 0;
      for (let sum = 0; smallest < kept && sum < enough; ++smallest) {
        sum += weights[order[smallest]];
      }
      kept = smallest;
    }
    const least = minP * weights[order[0]];
    order.forEach((id, i) => {
      if (i >= kept || weights[id] < least) weights[id] = 0;
    });
  }

  /** The token whose share of the distribution holds `coin`: the first above coin * total. */
  pick(coin: number): number {
    const { cumulative } = this;
    const target = coin * cumulative[this.vocabSize - 1];
    let low = 0;
    let high = this.vocabSize;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle] > target) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** (V,) the probability of each token. */
  probabilities(): Float64Array {
    const total = this.cumulative[this.vocabSize - 1];
    return this.cumulative.map((sum, id, all) => (sum - (id === 0 ? 0 : all[id - 1])) / total);
  }
}

/** log(sum(exp(logits))): what to subtract from a logit for its log-probability. */
export function logSumExp(logits: Float32Array): number {
  let highest = -Infinity;
  for (const logit of logits) if (logit > highest) highest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  const result = highest + Math.log(sum);
  if (!Number.isFinite(result)) throw new ArtifactError("the model's logits are not finite");
  return result;
}

function noToken(constrained: boolean): Error {
  const message = 'no token is left to choose: what is not excluded has probability 0';
  return constrained ? new OptionError(message) : new ArtifactError(message);
}
