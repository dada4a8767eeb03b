/** The options of sampling: those of Python by the same names, with their defaults and limits. */

/** How a token is drawn. What changes the distribution works in the order in which it is here. */
export interface DrawOptions {
  /** Makes tokens less likely that the string holds already; meant for words. [1] */
  penalty?: number;
  /** Characters, or words, that are never made. [""] */
  exclude?: string;
  /** Lower is safer; 0 takes the likeliest token each time. [1] */
  temperature?: number;
  /** Keep the k likeliest tokens; 0 keeps all. [0] */
  topK?: number;
  /** Keep the smallest set of tokens whose mass is at least p. [1] */
  topP?: number;
  /** Keep tokens at least p times as likely as the likeliest. [0] */
  minP?: number;
  /** The label of every string, of a model that was trained with labels. [drawn] */
  label?: string;
  /** Most characters, or words, of a string. [the artifact's] */
  maxLength?: number;
  /** Rows decoded together, which changes the speed only. [256] */
  batchSize?: number;
  /** Ends the call with `CancelledError`. */
  signal?: AbortSignal;
}

/** Which strings pass. A filter drops whole strings and changes no distribution. */
export interface FilterOptions extends DrawOptions {
  /** What every string begins with: characters, or whole words. [""] */
  prefix?: string;
  /** A regular expression that the whole string matches. [any string] */
  matching?: string;
  /** A pattern that the whole string matches: * is any text, ? one character. [any string] */
  wildcard?: string;
  /** What every string ends with. [""] */
  suffix?: string;
  /** Fewest characters, or words, of a string; 0 lets the empty string pass. [1] */
  minLength?: number;
  /** Strings that do not pass. [none] */
  notIn?: Iterable<string>;
  /** Only strings that are no line of the training text. [false] */
  novel?: boolean;
}

/** What `sample` takes. With none given, strings follow the model exactly. */
export interface SampleOptions extends FilterOptions {
  /** Each string once. [false] */
  unique?: boolean;
  /** Most rows that are tried before the search is given up. */
  maxRows?: number;
  /** Same seed, same strings: an integer of 64 bits. [fresh entropy] */
  seed?: number | bigint;
  /** Number of the first row; seed and number name a string for good. [0] */
  firstRow?: number | bigint;
}

/** How tokens are drawn. */
export interface TokenOptions {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly exclude?: string;
}

/** How strings begin, and how long they may be. */
export interface PromptOptions {
  readonly label?: string;
  readonly prefix: string;
  readonly maxLength?: number;
}

/** The rows of a seed. */
export interface RowOptions {
  readonly seed: bigint;
  readonly firstRow: bigint;
  readonly signal?: AbortSignal;
}

/** All options of a call; those that are not there ask for nothing. */
export interface Options extends TokenOptions, PromptOptions, RowOptions {
  readonly penalty: number;
  readonly batchSize: number;
  readonly matching?: string;
  readonly wildcard?: string;
  readonly suffix: string;
  readonly minLength: number;
  readonly notIn?: ReadonlySet<string>;
  readonly novel: boolean;
  readonly unique: boolean;
  readonly maxRows?: number;
}

/** What an option is where a call does not say; a seed has no default. */
export const DEFAULTS: Omit<Options, 'seed'> = {
  penalty: 1,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  batchSize: 256,
  prefix: '',
  suffix: '',
  minLength: 1,
  novel: false,
  unique: false,
  firstRow: 0n,
};
