/** From what is asked of a string to one automaton, or to the reason why there is none. */

import { grouped, OptionError, quoted, shown } from '../errors.js';
import type { RowFilter } from '../row_filter.js';
import type { Vocabulary } from '../vocabulary.js';
import { explore, TokenAutomaton, UNREACHABLE } from './automaton.js';
import type { Expression } from './expression.js';
import { type CharacterAutomaton, determinize, Positions } from './positions.js';

/** An option that is a pattern, and how its text is read. */
export interface Pattern {
  readonly option: string;
  readonly text: string;
  readonly parse: (text: string) => Expression;
}

/** What is asked of a string; see the options of the same names. */
export interface Asked {
  readonly patterns: readonly Pattern[];
  readonly minLength: number;
  /** Most tokens, a label not counted. */
  readonly maxLength: number;
  /** Ids that are never drawn; the prefix may hold them. */
  readonly excluded: readonly number[];
  /** What is said of the excluded ones, "" where nothing was asked for. */
  readonly exclusion: string;
  /** Ids that every string begins with, after its label; no filter by itself. */
  readonly prefix: readonly number[];
}

/**
 * The filter of the strings that are all that is asked for; undefined where nothing is.
 *
 * `OptionError` names the option, its value and the reason, where a pattern cannot be read or grows
 * too large, or where no string of at most `maxLength` tokens is all that is asked for.
 */
export function compileFilter(vocabulary: Vocabulary, asked: Asked): RowFilter | undefined {
  const compiler = new Compiler(vocabulary, asked.maxLength);
  const { patterns, minLength, prefix, excluded, exclusion } = asked;
  for (const pattern of patterns) compiler.addPattern(pattern);
  if (minLength > 0) {
    compiler.add(`minLength is ${minLength}`, () =>
      TokenAutomaton.atLeast(minLength, vocabulary.size),
    );
  }
  if (prefix.length > 0) {
    const text = vocabulary.decode(prefix);
    compiler.change(`prefix is ${shown(text)}`, (whole) => whole.beginningWith(prefix));
  }
  const labels = Array.from(vocabulary.labels, (_, i) => vocabulary.firstLabel + i);
  const left = new Set([...vocabulary.mask(), ...labels, ...excluded]);
  if (left.size > 0) {
    compiler.change(exclusion, (whole) => whole.without([...left], prefix.length));
  }
  return vocabulary.labels.length > 0
    ? compiler.whole?.withLabels(vocabulary.firstLabel)
    : compiler.whole;
}

/** What was asked for so far, and the automaton of all of it. */
class Compiler {
  whole: TokenAutomaton | undefined;
  private readonly asked: string[] = [];
  private readonly texts: TokenTexts;

  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly maxLength: number,
  ) {
    this.texts = new TokenTexts(vocabulary);
  }

  addPattern({ option, text, parse }: Pattern): void {
    this.add(`${option} is ${shown(text)}`, () => this.texts.automaton(parse(text)));
  }

  /** Asks for one thing more. */
  add(what: string, make: () => TokenAutomaton): void {
    this.asked.push(what);
    const automaton = this.required([what], make);
    const { whole } = this;
    this.whole = whole ? this.required(this.asked, () => whole.intersection(automaton)) : automaton;
  }

  /** Makes what is asked for stricter, where anything is. */
  change(what: string, make: (whole: TokenAutomaton) => TokenAutomaton): void {
    const { whole } = this;
    if (whole === undefined) return;
    if (what !== '') this.asked.push(what);
    this.whole = this.required(this.asked, () => make(whole));
  }

  /** Puts what was asked for before the reason why there is no string. */
  private required(asked: readonly string[], make: () => TokenAutomaton): TokenAutomaton {
    try {
      const automaton = make();
      this.requireString(automaton);
      return automaton;
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      throw new OptionError(`${asked.join(' and ')}; ${error.message}`);
    }
  }

  private requireString(automaton: TokenAutomaton): void {
    const shortest = automaton.shortest[0];
    const { level } = this.vocabulary;
    if (shortest === UNREACHABLE) {
      throw new OptionError(`no string of this model's ${level}s fits`);
    }
    if (shortest > this.maxLength) {
      throw new OptionError(
        `the shortest string that fits has ${grouped(shortest)} ${level}s, and maxLength is ` +
          grouped(this.maxLength),
      );
    }
  }
}

/** The text that each token adds to a string: as the first token, and as a later one. */
class TokenTexts {
  private readonly first: string[][] = []; // the characters of each token
  private readonly later: string[][] = [];
  private readonly never: ReadonlySet<number>;
  private readonly characters: string[];

  constructor(private readonly vocabulary: Vocabulary) {
    this.never = new Set(vocabulary.mask());
    const made = new Set<string>();
    for (let id = 0; id < vocabulary.size; ++id) {
      this.first.push([...vocabulary.decode([id])]);
      this.later.push([...vocabulary.textOf(id)]);
      if (this.never.has(id)) continue;
      for (const character of [...this.first[id], ...this.later[id]]) made.add(character);
    }
    this.characters = [...made].sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0));
  }

  /** The automaton of one pattern; where no string matches, the reason as `OptionError`. */
  automaton(expression: Expression): TokenAutomaton {
    const positions = new Positions(expression);
    const automaton = this.overTokens(determinize(positions, this.characters));
    if (automaton.shortest[0] === UNREACHABLE) this.requireKnown(positions);
    return automaton;
  }

  /** `OptionError` where a pattern needs characters that the model does not know. */
  private requireKnown({ reads }: Positions): void {
    const lacking = reads
      .flatMap((set) => set ?? [])
      .filter((set) => !this.characters.some((character) => set.holds(character)))
      .map(({ name }) => ([...name].length === 1 ? quoted(name) : `one of ${name}`));
    if (lacking.length === 0) return;
    throw new OptionError(
      `it needs ${listed([...new Set(lacking)])}, which this model does not know; its ` +
        `${grouped(this.characters.length)} characters are ${shown(this.characters.join(''))}`,
    );
  }

  /** The trimmed automaton over tokens that follows one over characters. */
  private overTokens(over: CharacterAutomaton): TokenAutomaton {
    const columns = new Map(this.characters.map((character, column) => [character, column]));
    const toColumns = (texts: string[][]) =>
      texts.map((text) => text.map((character) => columns.get(character) ?? 0));
    const [first, later] = [toColumns(this.first), toColumns(this.later)];
    const differ = first.some((text, id) => text.length !== later[id].length);
    // Where texts differ at the start, the start is a state of its own.
    const start = differ ? over.accepting.length : 0;
    const after = (state: number, text: number[], id: number) => {
      if (id === 0 || this.never.has(id)) return -1;
      for (const column of text) {
        if (state < 0) break;
        state = over.transitions[state][column];
      }
      return state;
    };
    const rows = (state: number) =>
      differ && state === start
        ? first.map((text, id) => after(0, text, id))
        : later.map((text, id) => after(state, text, id));
    const [states, transitions] = explore(start, rows, this.vocabulary.size);
    const accepting = states.map((state) => over.accepting[differ && state === start ? 0 : state]);
    return new TokenAutomaton(transitions, accepting, this.vocabulary.size).trimmed();
  }
}

/** "a, b and c", of many the first few. */
export function listed(all: readonly string[]): string {
  const some = all.slice(0, 8);
  if (all.length > some.length) some.push(`${all.length - some.length} more`);
  return some.length > 1 ? `${some.slice(0, -1).join(', ')} and ${some[some.length - 1]}` : some[0];
}
