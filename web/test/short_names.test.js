// The page's scripts have short names for members; what they compute is the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { shortNames } from '../page/short_names.mjs';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const NAMES = await shortNames([`${WEB}page/worker.ts`, `${WEB}page/page.ts`]);

/** Reads patterns by every table and group that the parsers look into by a string. */
const READER = `
  import { parseRegex } from './src/patterns/regex.ts';
  import { parseWildcard } from './src/patterns/wildcard.ts';
  import { determinize, Positions } from './src/patterns/positions.ts';
  const CHARACTERS = [...'abzAZ09_ -?*\\n\\t\\v\\x07éß'];
  export function read(pattern, wildcard) {
    const expression = wildcard ? parseWildcard(pattern) : parseRegex(pattern);
    const { transitions, accepting } = determinize(new Positions(expression), CHARACTERS);
    return JSON.stringify([transitions.map((row) => [...row]), accepting]);
  }
`;

async function reader(options) {
  const { outputFiles } = await build({
    stdin: { contents: READER, resolveDir: WEB },
    bundle: true,
    format: 'esm',
    write: false,
    ...options,
  });
  const { read } = await import(`data:text/javascript;base64,${btoa(outputFiles[0].text)}`);
  return (...pattern) => {
    try {
      return read(...pattern);
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  };
}

const POSIX = 'alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit';
const PATTERNS = [
  ...POSIX.split(' ').flatMap((name) => [`[[:${name}:]]`, `[[:^${name}:]a]`]),
  ...['\\d', '\\D', '\\s', '\\S', '\\w', '\\W', '\\n', '\\t', '\\r', '\\f', '\\v', '\\a'],
  ...['\\pL', '\\p{Lu}', '\\P{L}', '\\p{Greek}', '\\x61', '\\x{61}', '\\u0061', '\\u{61}'],
  ...['\\U00000061', '\\.', '\\q', '\\', '\\b', '\\1', '(?i)AZ', '(?is-i:A.)', '(?<n>a)', '(?=a)'],
  ...['[a-z&&[^b]]', '[a-z--z]', '[a-z~~b]', 'a{2,3}b*?', '(a|b)+', '^a$', 'a(', '[', 'x{3', ''],
];

test('patterns mean the same with short names, and are refused with the same words', async () => {
  const long = await reader({});
  const short = await reader({ mangleProps: NAMES.worker });
  for (const pattern of PATTERNS) assert.equal(short(pattern), long(pattern), pattern);
  for (const each of ['*a?', '\\*', '\\a']) assert.equal(short(each, true), long(each, true));
});

test('names stay that JavaScript, the browser or ONNX Runtime has, or that a string may name', () => {
  const stay = ['length', 'codePointAt', 'postMessage', 'inputMetadata', 'executionProviders'];
  for (const name of [...stay, 'matching', 'tokens', 'alnum', 'float32', 'constructor']) {
    assert.ok(!NAMES.worker.test(name), name);
  }
  for (const name of ['offsetParent', 'maxLength', 'ArrowDown']) {
    assert.ok(!NAMES.page.test(name), name);
  }
  assert.match('accepting', NAMES.worker);
});
