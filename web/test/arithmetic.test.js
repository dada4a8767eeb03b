// Coins, distributions, words and digests: the known answers of docs/artifact.md and of Python.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blake2b64 } from '../dist/blake2b.js';
import { Coins } from '../dist/coin.js';
import { Distribution, expOfNegative } from '../dist/distribution.js';
import { cutWords } from '../dist/words.js';

test('coins are the known answers', () => {
  const answers = [
    [0n, 0n, 0, 7931020870206717],
    [1n, 0n, 0, 8058603510201600],
    [0n, 1n, 0, 3261426827205785],
    [0n, 0n, 1, 8463687607158946],
    [7n, 3n, 5, 7366224313699198],
    [2n ** 32n, 0n, 0, 8813457958747079],
    [0n, 2n ** 32n, 0, 8238006199474712],
    [2n ** 64n - 1n, 2n ** 64n - 1n, 2 ** 32 - 1, 8048683320727559],
  ];
  for (const [seed, row, position, expected] of answers) {
    const coin = new Coins(seed).at(Number(row & 0xffffffffn), Number(row >> 32n), position);
    assert.equal(coin * 2 ** 53, expected);
  }
});

test('e^x is right to two units in the last place, and exact at 0', () => {
  assert.equal(expOfNegative(0), 1);
  assert.equal(expOfNegative(-708.1), 0);
  for (let x = -707.9; x < 0; x += 0.0317) {
    assert.ok(Math.abs(expOfNegative(x) / Math.exp(x) - 1) < 2 ** -51, `${x}`);
  }
});

test('tokens are the known answers', () => {
  const logits = Float32Array.from([2, 1, 0, 1, -Infinity]);
  const answers = [
    [{}, 0, 0],
    [{}, 0.5, 0],
    [{}, 0.6, 1],
    [{}, 0.75, 2],
    [{}, 0.9, 3],
    [{}, 1 - 2 ** -53, 3],
    [{ temperature: 0.5 }, 0.8, 1],
    [{ temperature: 2 }, 0.9, 3],
    [{ temperature: 0 }, 0.99, 0],
    [{ temperature: 0, allowed: Uint8Array.of(0, 1, 1, 1, 1) }, 0.99, 1],
    [{ allowed: Uint8Array.of(0, 1, 1, 1, 1) }, 0.5, 2],
    [{ topK: 2 }, 0.99, 1],
    [{ topP: 0.5 }, 0.99, 0],
    [{ topP: 0.7 }, 0.99, 1],
    [{ topP: 0.9 }, 0.99, 3],
    [{ topK: 2, topP: 0.7 }, 0.99, 0],
    [{ minP: 0.2 }, 0.7, 1],
    [{ minP: 0.2 }, 0.8, 3],
    [{ minP: 0.4 }, 0.99, 0],
  ];
  for (const [options, coin, token] of answers) {
    const distribution = new Distribution(
      { temperature: 1, topK: 0, topP: 1, minP: 0, ...options },
      5,
    );
    distribution.prepare(logits);
    assert.equal(distribution.pick(coin), token, JSON.stringify([options, coin]));
  }
});

test('logits that are no distribution are refused', () => {
  const distribution = new Distribution({ temperature: 1, topK: 0, topP: 1, minP: 0 }, 2);
  for (const logits of [
    [Number.NaN, 0],
    [Infinity, 0],
    [-Infinity, -Infinity],
  ]) {
    assert.throws(() => distribution.prepare(Float32Array.from(logits)), { name: 'ArtifactError' });
  }
});

test('lines are cut into words as documented', () => {
  const lines = {
    "Don't stop, 'tis 3.14!": [" Don't", ' stop', ',', " '", 'tis', ' 3', '.', '14', '!'],
    '"No," he said': [' "', 'No', ',', '"', ' he', ' said'],
    'snake_case (x)': [' snake_case', ' (', 'x', ')'],
    ' \t ': [],
    'नमस्ते\u2003👩‍🚀': [' नमस्ते', ' 👩‍🚀'],
  };
  for (const [line, words] of Object.entries(lines)) assert.deepEqual(cutWords(line, false), words);
  assert.deepEqual(cutWords('a  b\n c', true), [' a', ' b', '\n', 'c']);
});

test('digests are those of hashlib.blake2b(..., digest_size=8)', () => {
  const answers = [
    ['', 'e4a6a0577479b2b4'],
    ['anna', 'd04474cc4b844a8c'],
    ['é'.repeat(64), '6e5b456ae3bbb591'],
    ['a'.repeat(129), 'e462535bb0c5a299'],
  ];
  for (const [text, hex] of answers) {
    const digest = blake2b64(new TextEncoder().encode(text));
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, digest, true);
    assert.equal(Buffer.from(bytes.buffer).toString('hex'), hex);
  }
});
