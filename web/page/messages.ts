/** What the page and its worker say to each other. */

export type Mode = 'prefix' | 'wildcard' | 'matching';

/** What is asked for. `seed` is decimal digits: it may have 64 bits. */
export interface Query {
  readonly mode: Mode;
  readonly text: string;
  readonly label: string;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: string;
  readonly n: number;
}

/** A string and its probability, or a token and its own after those before it; the stop has no text. */
export interface Piece {
  readonly text: string;
  readonly prob: number;
}

export interface Scored {
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly logProb: number;
}

/** What the page tells of the model. */
export interface Facts {
  readonly model: string;
  readonly parameters: number;
  readonly tokens: number;
  readonly level: string;
  readonly labels: readonly string[];
}

/** The part of the page that a fault belongs to. */
export type Place = 'page' | 'query' | 'seed' | 'string';

export type Request =
  | { readonly kind: 'sample'; readonly id: number; readonly query: Query }
  | { readonly kind: 'score'; readonly id: number; readonly text: string; readonly label: string };

export type Response =
  | { readonly kind: 'loaded'; readonly facts: Facts }
  | { readonly kind: 'next'; readonly id: number; readonly tokens: readonly Piece[] }
  | { readonly kind: 'samples'; readonly id: number; readonly samples: readonly Scored[] }
  | {
      readonly kind: 'done';
      readonly id: number;
      readonly milliseconds: number;
      readonly note: string;
    }
  | {
      readonly kind: 'likely';
      readonly id: number;
      readonly strings: readonly Piece[];
      readonly note: string;
    }
  | { readonly kind: 'score'; readonly id: number; readonly scored: Scored }
  | {
      readonly kind: 'fault';
      readonly id: number;
      readonly place: Place;
      readonly message: string;
    };
