/** Fields of JSON from a stranger, each checked when it is read; errors name where it is. */

import { ArtifactError, shown } from './errors.js';

const MAX_TEXT = 10_000;

export class Fields {
  constructor(
    private readonly values: Record<string, unknown>,
    private readonly path: string,
  ) {}

  /** `ArtifactError` unless it is an object. */
  static of(value: unknown, path: string): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ArtifactError(`${path} is ${shown(value)}; it must be an object`);
    }
    return new Fields(value as Record<string, unknown>, path);
  }

  has(name: string): boolean {
    return (this.values[name] ?? null) !== null;
  }

  object(name: string): Fields {
    return Fields.of(this.get(name), this.where(name));
  }

  array(name: string): unknown[] {
    const value = this.get(name);
    if (Array.isArray(value)) return value;
    throw this.wrong(name, value, 'an array');
  }

  objects(name: string): Fields[] {
    return this.array(name).map((each, i) => Fields.of(each, `${this.where(name)}[${i}]`));
  }

  strings(name: string, most = MAX_TEXT): string[] {
    return this.array(name).map((each, i) => this.checkString(`${name}[${i}]`, each, most));
  }

  string(name: string): string {
    return this.checkString(name, this.get(name), MAX_TEXT);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.get(name);
    const found = values.find((each) => each === value);
    if (found !== undefined) return found;
    throw this.wrong(name, value, `one of ${values.join(', ')}`);
  }

  integer(name: string, least: number, most: number): number {
    return this.checkInteger(name, this.get(name), least, most);
  }

  integers(name: string, least: number, most: number): number[] {
    return this.array(name).map((each, i) => this.checkInteger(`${name}[${i}]`, each, least, most));
  }

  /** The numbers of an object; null, which is infinite, stays. */
  numbers(name: string): Record<string, number | null> {
    const { values } = this.object(name);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || typeof value === 'number') continue;
      throw this.wrong(`${name}.${key}`, value, 'a number or null');
    }
    return values as Record<string, number | null>;
  }

  private checkString(name: string, value: unknown, most: number): string {
    if (typeof value === 'string' && value.length <= 2 * most) return value;
    throw this.wrong(name, value, `a string of at most ${most} characters`);
  }

  private checkInteger(name: string, value: unknown, least: number, most: number): number {
    if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
      return Number(value);
    }
    throw this.wrong(name, value, `an integer from ${least} to ${most}`);
  }

  private get(name: string): unknown {
    if (Object.hasOwn(this.values, name)) return this.values[name];
    throw new ArtifactError(`${this.where(name)} is missing`);
  }

  private where(name: string): string {
    return `${this.path}.${name}`;
  }

  private wrong(name: string, value: unknown, words: string): ArtifactError {
    return new ArtifactError(`${this.where(name)} is ${shown(value)}; it must be ${words}`);
  }
}
