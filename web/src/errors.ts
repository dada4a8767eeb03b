/** What can go wrong, a class per culprit, with the names that they have in Python. */

const MAX_MESSAGE = 2000;

/** Base of every error that makemore raises on purpose. */
export class MakemoreError extends Error {
  constructor(message: string, name = 'MakemoreError') {
    super(message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)} ...`);
    this.name = name;
  }
}

/** The caller asked for something that cannot be: an option, a prefix, a string to score. */
export class OptionError extends MakemoreError {
  constructor(message: string) {
    super(message, 'OptionError');
  }
}

/** The file is not an artifact that this version can read. */
export class ArtifactError extends MakemoreError {
  constructor(message: string) {
    super(message, 'ArtifactError');
  }
}

/** The call was cancelled by its `AbortSignal`. */
export class CancelledError extends MakemoreError {
  constructor(message: string) {
    super(message, 'CancelledError');
  }
}

/** ONNX Runtime is missing, unusable, or failed while it ran. */
export class OrtError extends MakemoreError {
  constructor(message: string) {
    super(message, 'OrtError');
  }
}

/**
 * No more strings pass, or none was found in as many rows as may be tried.
 *
 * `found` holds what the call would have returned so far; a stream has returned it already. `rows`
 * is how many were tried; `mass` the probability of the strings that were found and of what can
 * never pass, together, undefined where it is not known.
 */
export class ExhaustedError extends MakemoreError {
  found: unknown[] = [];

  constructor(
    message: string,
    readonly rows: number,
    readonly mass?: number,
  ) {
    super(message, 'ExhaustedError');
  }
}

/** A value in a message: with all digits that make it wrong, but not longer than a line. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? quoted(value) : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}...`;
}

/** A string in quotes, with what no terminal should print escaped. */
export function quoted(text: string): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replace(/\\"/g, '"')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  return escaped.includes("'") && !escaped.includes('"')
    ? `"${escaped}"`
    : `'${escaped.replace(/'/g, "\\'")}'`;
}

/** An integer as people read it: 1,234,567. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
