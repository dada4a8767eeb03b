// The promises of a sampler's methods.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CancelledError, ExhaustedError, load, OptionError } from '../dist/makemore.js';

const TRANSFORMER = fileURLToPath(
  new URL('../../tests/artifacts/schema-3/transformer', import.meta.url),
);
let sampler;
before(async () => {
  sampler = await load(TRANSFORMER);
});
after(() => sampler.close());

test('a row is the same whatever the batch size and the first row', async () => {
  const rows = await sampler.sampleIds(50, { seed: 9 });
  for (const batchSize of [1, 7, 1000]) {
    assert.deepEqual(
      (await sampler.sample(50, { seed: 9, batchSize })).join(),
      rows.map(({ text }) => text).join(),
    );
  }
  const [{ row }] = rows.slice(20);
  const [later] = await sampler.sampleIds(1, { seed: 9, firstRow: row });
  assert.equal(later.text, rows[20].text);
  assert.equal(later.row, row);
});

test('a stream gives what sample gives, and ends where its reader stops', async () => {
  const taken = [];
  for await (const text of sampler.stream({ seed: 4 })) {
    if (taken.push(text) === 100) break;
  }
  assert.deepEqual(taken, await sampler.sample(100, { seed: 4 }));
});

test('calls that run at the same time do not mix', async () => {
  const seeds = [1, 2, 3];
  const alone = [];
  for (const seed of seeds) alone.push(await sampler.sample(30, { seed }));
  assert.deepEqual(await Promise.all(seeds.map((seed) => sampler.sample(30, { seed }))), alone);
});

test('a signal ends a call, and the next one works', async () => {
  const abort = new AbortController();
  const call = sampler.sample(1_000_000, { seed: 1, signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await assert.rejects(call, CancelledError);
  assert.equal((await sampler.sample(3, { seed: 1 })).length, 3);
});

test('a prefix as long as a string may be is the only one', async () => {
  const [prefix] = await sampler.sample(1, { seed: 1 });
  const options = { prefix, maxLength: prefix.length };
  const { strings, mass } = await sampler.mostLikely(3, options);
  assert.deepEqual([strings, mass], [[prefix], 1]);
  await assert.rejects(sampler.sample(3, { ...options, unique: true }), (error) => {
    assert.deepEqual(error.found, [prefix]);
    return true;
  });
});

test('a search that finds too little says what it found', async () => {
  await assert.rejects(sampler.sample(100, { seed: 1, suffix: 'na', maxRows: 500 }), (error) => {
    assert.ok(error instanceof ExhaustedError);
    assert.equal(error.rows, 500);
    assert.ok(error.found.length < 100 && error.found.every((text) => text.endsWith('na')));
    return true;
  });
});

test('an option that cannot be is refused with its name, its value and its limit', async () => {
  const cases = [
    [{ temperature: -1 }, 'temperature is -1; it must be a finite number >= 0'],
    [{ temperature: Number.NaN }, 'temperature is NaN; it must be a finite number >= 0'],
    [{ topP: 0 }, 'topP is 0; it must be a number > 0 and <= 1'],
    [{ topK: 1.5 }, 'topK is 1.5; it must be an integer >= 0 and < 2**53'],
    [{ seed: 2 ** 53 }, /^seed is 9007199254740992; it must be an integer >= 0/],
    [{ seed: -1n }, /^seed is -1; /],
    [{ prefix: 3 }, 'prefix is 3; it must be a string'],
    [{ notIn: 'anna' }, "notIn is 'anna'; it must be an array or set of strings"],
    [{ top_k: 3 }, /^option 'top_k' is not known; these are: /],
    [{ maxLength: 16 }, 'maxLength is 16 characters; a block of 11 holds 10'],
    [{ prefix: 'é' }, /^character 'é' \(number 1 of 'é'\) is not among the 26 characters/],
    [{ label: 'girl' }, "label 'girl' is none of this model's: it has none"],
    [{ novel: true }, /no fingerprints/],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(sampler.sample(1, options), (error) => {
      assert.ok(error instanceof OptionError, `${error}`);
      if (message instanceof RegExp) assert.match(error.message, message);
      else assert.equal(error.message, message);
      return true;
    });
  }
  await assert.rejects(sampler.sample(-1), { message: /^n is -1; / });
  await assert.rejects(sampler.score('anna'), OptionError);
});

test('a sampler that is closed refuses calls', async () => {
  const other = await load(TRANSFORMER);
  await other.close();
  await other.close();
  await assert.rejects(other.sample(1), /this sampler is closed/);
});

test('the example prints strings of an artifact', () => {
  const example = fileURLToPath(new URL('../examples/sample.mjs', import.meta.url));
  const printed = execFileSync('node', [example, TRANSFORMER, '8', '1'], { encoding: 'utf8' });
  // What `mm-sample tests/artifacts/schema-3/transformer -n 8 --seed 1` prints.
  const expected = 'vcjsgsndin uxsnamilzn llee anehinx ola ellafvnx a kolalyheee';
  assert.equal(printed, `${expected.replaceAll(' ', '\n')}\n`);
});
