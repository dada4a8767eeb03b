/** BLAKE2b with a digest of 8 bytes (RFC 7693), in halves of 32 bits. */

const IV = new BigUint64Array([
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
]);
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
/** The words of the state that are mixed together: columns, then diagonals. */
const MIXED = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];
const ROUNDS = 12;
const BLOCK = 128;
const DIGEST = 8;

/** Words of 64 bits as pairs of halves, the low one first. */
type Words = Uint32Array;

/** The digest of some bytes as a little-endian integer. */
export function blake2b64(bytes: Uint8Array): bigint {
  const hash = IV.slice();
  hash[0] ^= BigInt(0x01010000 ^ DIGEST);
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  for (let i = 0; i < blocks; ++i) {
    const part = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
    const block = new Uint8Array(BLOCK);
    block.set(part);
    compress(hash, new DataView(block.buffer), i * BLOCK + part.length, i === blocks - 1);
  }
  return hash[0];
}

function compress(hash: BigUint64Array, block: DataView, count: number, last: boolean): void {
  const state = new BigUint64Array(16);
  state.set(hash);
  state.set(IV, 8);
  state[12] ^= BigInt(count);
  if (last) state[14] ^= 2n ** 64n - 1n;
  const v = halves(state);
  const m = Uint32Array.from({ length: 32 }, (_, i) => block.getUint32(4 * i, true));
  for (let round = 0; round < ROUNDS; ++round) {
    const order = SIGMA[round % SIGMA.length];
    MIXED.forEach(([a, b, c, d], i) => {
      addWords(v, a, b, m, order[2 * i]);
      xorRotated(v, d, a, 32);
      addWords(v, c, d);
      xorRotated(v, b, c, 24);
      addWords(v, a, b, m, order[2 * i + 1]);
      xorRotated(v, d, a, 16);
      addWords(v, c, d);
      xorRotated(v, b, c, 63);
    });
  }
  for (let i = 0; i < 8; ++i) hash[i] ^= word(v, i) ^ word(v, i + 8);
}

/** v[a] += v[b], and a word of the message, where one is given. */
function addWords(v: Words, a: number, b: number, m?: Words, of = 0): void {
  const low = v[2 * a] + v[2 * b] + (m === undefined ? 0 : m[2 * of]);
  const high = v[2 * a + 1] + v[2 * b + 1] + (m === undefined ? 0 : m[2 * of + 1]);
  v[2 * a] = low;
  v[2 * a + 1] = high + Math.floor(low / 2 ** 32);
}

/** v[d] = v[d] ^ v[a], rotated to the right. */
function xorRotated(v: Words, d: number, a: number, bits: number): void {
  const low = v[2 * d] ^ v[2 * a];
  const high = v[2 * d + 1] ^ v[2 * a + 1];
  const [first, second] = bits >= 32 ? [high, low] : [low, high];
  const by = bits % 32;
  v[2 * d] = by === 0 ? first : (first >>> by) | (second << (32 - by));
  v[2 * d + 1] = by === 0 ? second : (second >>> by) | (first << (32 - by));
}

function halves(words: BigUint64Array): Words {
  return Uint32Array.from({ length: 2 * words.length }, (_, i) =>
    Number((words[i >> 1] >> BigInt(32 * (i & 1))) & 0xffffffffn),
  );
}

function word(v: Words, i: number): bigint {
  return BigInt(v[2 * i]) | (BigInt(v[2 * i + 1]) << 32n);
}
