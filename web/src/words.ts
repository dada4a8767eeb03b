/** How a line is cut into words: docs/artifact.md, level "word". */

const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const WORD = '\\p{L}\\p{N}_';
const EXTENDERS = '\\p{M}\\u200c\\u200d\\u{1f3fb}-\\u{1f3ff}';
const RUN = `[${WORD}][${WORD}${EXTENDERS}]*(?:['’][${WORD}][${WORD}${EXTENDERS}]*)*`;
const MARK = `[^${WORD}${SPACE}](?:[${EXTENDERS}]|(?<=\\u200d)[^${WORD}${SPACE}])*`;

const CUT = new RegExp(` ?(?:${RUN}|${MARK})|\\n`, 'gu');
const SPACES = new RegExp(`[${SPACE}]+`, 'u');
const ANY_SPACE = new RegExp(`[${SPACE}]`, 'u');

/** The words of a line, each with the space before it; with `lineEnds` those of several lines. */
export function cutWords(line: string, lineEnds: boolean): string[] {
  const lines = lineEnds ? line.split('\n') : [line];
  const joined = lines.map((each) => each.split(SPACES).filter(Boolean).join(' ')).join('\n');
  return ` ${joined}`.match(CUT) ?? [];
}

/** Whether a text may be a token of level "word". */
export function isWord(token: string): boolean {
  const bare = withoutSpace(token);
  return token === '\n' || (bare !== '' && !ANY_SPACE.test(bare));
}

/** A word without the space before it. */
export function withoutSpace(word: string): string {
  return word.startsWith(' ') ? word.slice(1) : word;
}
