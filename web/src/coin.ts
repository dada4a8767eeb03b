/** The random numbers: a pure function of seed, row and position, the same in every language. */

/** The upper 32 bits of the product of two unsigned integers of 32 bits. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) >>> 0;
}

/**
 * The coins of a seed: uniform numbers in [0, 1) that decide tokens.
 *
 * Philox4x32-10, a counter-based generator (Salmon et al., 2011, Parallel Random Numbers: As Easy
 * as 1, 2, 3, section 3.3). Seed and row are unsigned integers of 64 bits.
 */
export class Coins {
  private readonly keyLow: number;
  private readonly keyHigh: number;

  constructor(seed: bigint) {
    this.keyLow = Number(seed & 0xffffffffn);
    this.keyHigh = Number(seed >> 32n);
  }

  /** The coin of a row, given by its two halves, after `position` tokens. */
  at(rowLow: number, rowHigh: number, position: number): number {
    let [c0, c1, c2, c3] = [rowLow, rowHigh, position, 0];
    let [k0, k1] = [this.keyLow, this.keyHigh];
    for (let round = 0; round < 10; ++round) {
      const a = highProduct(0xd2511f53, c0);
      const b = highProduct(0xcd9e8d57, c2);
      const aLow = Math.imul(0xd2511f53, c0);
      const bLow = Math.imul(0xcd9e8d57, c2);
      c0 = (b ^ c1 ^ k0) >>> 0;
      c1 = bLow >>> 0;
      c2 = (a ^ c3 ^ k1) >>> 0;
      c3 = aLow >>> 0;
      k0 = (k0 + 0x9e3779b9) >>> 0;
      k1 = (k1 + 0xbb67ae85) >>> 0;
    }
    // The upper 53 of 64 bits.
    return (c1 * 2 ** 21 + (c0 >>> 11)) * 2 ** -53;
  }
}
