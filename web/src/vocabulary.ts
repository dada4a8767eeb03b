/** Tokens that are characters, words or other texts, and the numbers that stand for them. */

import type { Artifact, Level } from './artifact.js';
import { grouped, OptionError, quoted, shown } from './errors.js';
import { newCut } from './token_cut.js';
import { cutWords, withoutSpace } from './words.js';

/** What every level knows. Token 0 starts and stops a string; the ids of labels are the last. */
export abstract class Vocabulary {
  readonly size: number;
  readonly level: Level;
  readonly labels: readonly string[];
  protected readonly ids: ReadonlyMap<string, number>;

  constructor(protected readonly artifact: Artifact) {
    this.size = artifact.vocabSize;
    this.level = artifact.level;
    this.labels = artifact.labels;
    this.ids = new Map(artifact.tokens.map((token, i) => [token, i + 1]));
  }

  /** Ids of a string, without start and stop; `OptionError` for what the model does not know. */
  abstract encode(text: string): number[];

  /** Ids that a string may begin with; `OptionError` for what the model does not know. */
  prompt(prefix: string): number[] {
    return this.encode(prefix);
  }

  /** Ids that are never made: those of `exclude`. */
  mask(exclude = ''): number[] {
    return this.encode(exclude);
  }

  /** The text of ids, without start and stop. Labels have none. */
  decode(ids: readonly number[]): string {
    let text = '';
    for (const id of ids) text += this.textOf(id);
    return text;
  }

  /** What a token adds to a string that has others before it; "" for the stop and labels. */
  textOf(id: number): string {
    return id === 0 ? '' : (this.artifact.tokens[id - 1] ?? '');
  }

  /** The id of the first label; V where there is none. */
  get firstLabel(): number {
    return this.size - this.labels.length;
  }

  /** `OptionError` for a label that the model does not have. */
  labelId(label: string): number {
    const at = this.labels.indexOf(label);
    if (at >= 0) return this.firstLabel + at;
    const known = this.labels.length
      ? `it has ${this.labels.map(quoted).join(', ')}`
      : 'it has none';
    throw new OptionError(`label ${shown(label)} is none of this model's: ${known}`);
  }
}

class Characters extends Vocabulary {
  encode(text: string): number[] {
    return Array.from(text, (character, at) => {
      const id = this.ids.get(character);
      if (id !== undefined) return id;
      const { tokens } = this.artifact;
      const some = quoted(tokens.slice(0, 64).join('')) + (tokens.length > 64 ? ' ...' : '');
      throw new OptionError(
        `character ${quoted(character)} (number ${at + 1} of ${shown(text)}) is not among the ` +
          `${tokens.length} characters this model knows: ${some}`,
      );
    });
  }
}

class Words extends Vocabulary {
  /** The token that stands for every word that is not among the tokens. */
  private readonly unknown = this.artifact.tokens.length + 1;

  encode(text: string): number[] {
    return this.cut(text).map((word) => this.ids.get(word) ?? this.unknown);
  }

  override prompt(prefix: string): number[] {
    const ids = this.encode(prefix);
    const at = ids.indexOf(this.unknown);
    if (at >= 0) throw this.notKnown(at, prefix);
    return ids;
  }

  override mask(exclude = ''): number[] {
    const found = this.cut(exclude).flatMap((word, at) => {
      const bare = withoutSpace(word);
      const ids = [bare, ` ${bare}`].flatMap((form) => this.ids.get(form) ?? []);
      if (ids.length === 0) throw this.notKnown(at, exclude);
      return ids;
    });
    return [this.unknown, ...found];
  }

  override decode(ids: readonly number[]): string {
    return withoutSpace(super.decode(ids));
  }

  override textOf(id: number): string {
    return id === this.unknown ? ' \ufffd' : super.textOf(id);
  }

  private cut(text: string): string[] {
    return cutWords(text, this.ids.has('\n'));
  }

  private notKnown(at: number, text: string): OptionError {
    const word = this.cut(text)[at].trim();
    return new OptionError(
      `word ${quoted(word)} (number ${at + 1} of ${shown(text)}) is not among the ` +
        `${grouped(this.artifact.tokens.length)} words this model knows`,
    );
  }
}

class Tokens extends Vocabulary {
  private readonly cut = newCut(this.artifact.tokens, this.artifact.splitPattern);

  encode(text: string): number[] {
    return this.cut(text).map((piece) => {
      const id = this.ids.get(piece);
      if (id !== undefined) return id;
      throw new OptionError(
        `token ${shown(piece)} of ${shown(text)} is not among the ` +
          `${grouped(this.artifact.tokens.length)} tokens this model knows`,
      );
    });
  }
}

/** The vocabulary of an artifact. */
export function newVocabulary(artifact: Artifact): Vocabulary {
  const levels = { character: Characters, word: Words, token: Tokens };
  return new levels[artifact.level](artifact);
}
