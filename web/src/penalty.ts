/** Makes tokens less likely that a string holds already. */

import type { Adjust } from './decoder.js';

/** What a penalty does to logits; undefined for 1, which does nothing. */
export function penaltyOf(penalty: number): Adjust | undefined {
  if (penalty === 1) return undefined;
  const divisor = Math.fround(penalty);
  return (logits, ids) => {
    const penalized = logits.slice();
    for (const id of new Set(ids)) {
      penalized[id] = penalized[id] > 0 ? penalized[id] / divisor : penalized[id] * divisor;
    }
    return penalized;
  };
}
