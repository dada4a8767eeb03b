/** Which strings pass, told from their tokens as they come. */

/** A state of the filter after which nothing passes. */
export const DEAD = -1;

/**
 * A deterministic automaton over tokens. Its state is a function of the prefix, so that rows with
 * the same prefix are dropped together once no string that passes begins with it.
 */
export interface RowFilter {
  /** The state after one more token; the stop token adds nothing. State 0 is the start. */
  next(state: number, token: number): number;
  /** Whether a string passes that goes on from `state` for at most so many tokens. */
  canPass(state: number, most: number): boolean;
}
