// What files give: golden samples of every schema and kind, and clear errors of bad ones.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ArtifactError, load } from '../dist/makemore.js';

const FOLDER = fileURLToPath(new URL('../../tests/artifacts/', import.meta.url));
const FILES = readdirSync(FOLDER, { recursive: true }).filter((file) => file.endsWith('.onnx'));

/** A field of a protobuf message that holds bytes. */
function field(number, bytes) {
  assert.ok(number < 16 && bytes.length < 2 ** 14);
  const size =
    bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Buffer.concat([Buffer.from([number * 8 + 2, ...size]), bytes]);
}

/** An ONNX file that holds nothing but metadata. */
function fileWith(json, key = 'makemore') {
  return new Uint8Array(
    field(14, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(json))])),
  );
}

const GOOD = {
  schema: 3,
  model: { type: 'x', config: {}, parameters: 0 },
  level: 'character',
  tokens: ['a'],
  block_size: 4,
  max_length: 3,
  states: [],
  versions: {},
  golden: { seed: 1, strings: [] },
};

test('every committed artifact gives its golden samples', async () => {
  assert.ok(FILES.length > 10);
  for (const file of FILES) {
    const sampler = await load(join(FOLDER, file));
    const { seed, strings } = sampler.artifact.golden;
    assert.deepEqual(await sampler.sample(strings.length, { seed, minLength: 0 }), strings, file);
    await sampler.close();
  }
});

test('an artifact is a folder, a file, a URL or bytes', async () => {
  const file = join(FOLDER, 'bigram/model.onnx');
  const bytes = new Uint8Array(readFileSync(file));
  const sources = [
    file,
    join(FOLDER, 'bigram'),
    new URL(`file://${file}`),
    bytes,
    bytes.slice().buffer,
  ];
  for (const source of sources) {
    const sampler = await load(source);
    assert.equal(sampler.artifact.level, 'character');
    await sampler.close();
  }
});

test('what is no artifact is refused with the reason', async () => {
  const cases = [
    [new Uint8Array(), /no makemore metadata/],
    [new TextEncoder().encode('<!doctype html>'), /no ONNX file/],
    [fileWith('{}', 'other'), /no makemore metadata/],
    [fileWith('{'), /bad makemore metadata/],
    [fileWith('[]'), /must be an object/],
    [fileWith('{"schema": 4}'), /schema 4 is newer than 3/],
    [fileWith(JSON.stringify({ ...GOOD, tokens: [] })), /tokens is empty/],
    [fileWith(JSON.stringify({ ...GOOD, tokens: ['ab'] })), /tokens\[0\] is 'ab'/],
    [fileWith(JSON.stringify({ ...GOOD, tokens: ['a', 'a'] })), /more than once/],
    [fileWith(JSON.stringify({ ...GOOD, tokens: [1] })), /tokens\[0\] is 1; it must be a string/],
    [fileWith(JSON.stringify({ ...GOOD, level: 'byte' })), /level is 'byte'/],
    [fileWith(JSON.stringify({ ...GOOD, max_length: 4 })), /a block of 4 holds 3 characters/],
    [fileWith(JSON.stringify({ ...GOOD, max_length: 1.5 })), /max_length is 1.5/],
    [
      fileWith(
        JSON.stringify({
          ...GOOD,
          states: [{ name: 's', dtype: 'float32', shape: [2 ** 30, 2 ** 30] }],
        }),
      ),
      /ONNX Runtime cannot open it/,
    ],
    [fileWith(JSON.stringify(GOOD)), /ONNX Runtime cannot open it/],
    [join(FOLDER, 'none'), /cannot be read/],
  ];
  for (const [source, message] of cases) {
    await assert.rejects(load(source), (error) => {
      assert.ok(error instanceof ArtifactError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  }
});

test('a file larger than maxBytes is refused', async () => {
  await assert.rejects(load(join(FOLDER, 'bigram'), { maxBytes: 100 }), /maxBytes is 100/);
});

test('a file that was changed is loaded or refused, never anything else', async () => {
  const good = new Uint8Array(readFileSync(join(FOLDER, 'bigram/model.onnx')));
  for (let at = 0; at < good.length; at += 7) {
    const bad = good.slice();
    bad[at] ^= 1 << (at % 8);
    const cut = good.subarray(0, at);
    for (const bytes of [bad, cut]) {
      await load(bytes).then(
        (sampler) => sampler.close(),
        (error) => assert.ok(['ArtifactError', 'OrtError'].includes(error.name), `${at}: ${error}`),
      );
    }
  }
});
