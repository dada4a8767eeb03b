/** The command that makes the same strings in a terminal. */

import type { Query } from './messages.js';

const FLAGS = { prefix: '--prefix', wildcard: '--wildcard', matching: '--matching' } as const;

/**
 * The parts of `mm-sample` with what differs from its defaults, each an option with its value.
 * `artifact` is the name of its folder.
 */
export function command(artifact: string, query: Query): string[] {
  const parts = [`mm-sample ${quoted(artifact.startsWith('-') ? `./${artifact}` : artifact)}`];
  parts.push(`-n ${query.n}`, `--seed ${query.seed}`);
  if (query.text) parts.push(flag(FLAGS[query.mode], query.text));
  if (query.label) parts.push(flag('--label', query.label));
  if (query.temperature !== 1) parts.push(`--temperature ${query.temperature}`);
  if (query.topK !== 0) parts.push(`--top-k ${query.topK}`);
  if (query.topP !== 1) parts.push(`--top-p ${query.topP}`);
  return parts;
}

/** A value that begins with "-" would be taken for an option of its own. */
function flag(name: string, value: string): string {
  return value.startsWith('-') ? `${name}=${quoted(value)}` : `${name} ${quoted(value)}`;
}

/** One word of a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
