/** Ends a call that its `AbortSignal` cancels, and lets the page breathe while it runs. */

import { CancelledError } from './errors.js';

/** How long a call works before it lets the page handle what came in, in ms. */
const BUSY = 24;

/** Waits until the page, or Node, has handled what came in meanwhile. */
function handled(): Promise<void> {
  const { scheduler } = globalThis as { scheduler?: { yield?: () => Promise<void> } };
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve));
}

export class Cancellation {
  private last = performance.now();

  constructor(private readonly signal?: AbortSignal) {}

  /** Called before every step. `CancelledError` where the signal is aborted. */
  async check(): Promise<void> {
    if (performance.now() - this.last >= BUSY) {
      await handled();
      this.last = performance.now();
    }
    if (this.signal?.aborted) throw new CancelledError('the call was cancelled');
  }
}
