/** The model, beside the page, so that typing never waits for it. */

import { STOP } from '../src/decoder.js';
import type { Engine, Plan } from '../src/engine.js';
import { ExhaustedError, grouped } from '../src/errors.js';
import { fetchFile } from '../src/fetch_file.js';
import { BestFirstSearch } from '../src/most_likely.js';
import { NextTokens, nextTokens } from '../src/next_tokens.js';
import { openEngine } from '../src/open_engine.js';
import { ortAt, singleThreaded } from '../src/ort.js';
import { compileFilter, type Pattern } from '../src/patterns/compile.js';
import { parseRegex } from '../src/patterns/regex.js';
import { parseWildcard } from '../src/patterns/wildcard.js';
import { defaultMaxRows } from '../src/row_limit.js';
import { RowSearch } from '../src/row_search.js';
import { scoreIds } from '../src/token_scores.js';
import type { Mode, Place, Query, Request, Response, Scored } from './messages.js';

const LIKELY = 20;
/** How long the likeliest strings are searched for. */
const LIKELY_MS = 10_000;
const NEXT = 12;
/** How often samples are shown while more are made, in ms. */
const SHOWN_EVERY = 60;
/** Most rows that are tried for more strings at a time. */
const CHUNK = 1024;

function post(response: Response): void {
  postMessage(response);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fault(place: Place, id: number, error: unknown): void {
  post({ kind: 'fault', id, place, message: messageOf(error) });
}

/** How the text of a mode is read that is a pattern. */
const PARSERS = new Map<Mode, Pattern['parse']>([
  ['matching', parseRegex],
  ['wildcard', parseWildcard],
]);

/** The model itself. */
const PLAIN = { temperature: 1, topK: 0, topP: 1, minP: 0 };

/** What a query asks of a model. */
function planOf(engine: Engine, { mode, text, label, temperature, topK, topP }: Query): Plan {
  const parse = text ? PARSERS.get(mode) : undefined;
  const asked = { label: label || undefined, prefix: mode === 'prefix' ? text : '' };
  const prompt = engine.promptOf(asked);
  const maxLength = engine.maxLengthOf(asked);
  return {
    prompt,
    maxLength,
    sampling: engine.samplingOf({ ...PLAIN, temperature, topK, topP }),
    adjust: undefined,
    batchSize: 256,
    filter: compileFilter(engine.vocabulary, {
      patterns: parse ? [{ option: mode, text, parse }] : [],
      minLength: 1,
      maxLength: maxLength - engine.labelTokens,
      excluded: [],
      exclusion: '',
      prefix: prompt.slice(engine.labelTokens),
    }),
  };
}

function anyText(): boolean {
  return true;
}

/** Answers the page with one model. */
class Answers {
  private sampling = new AbortController();
  private scoring = new AbortController();

  constructor(private readonly engine: Engine) {}

  /** A newer request ends the work of the older one of its kind. */
  take(request: Request): void {
    if (request.kind === 'sample') {
      this.sampling.abort();
      this.sampling = new AbortController();
      const { signal } = this.sampling;
      void this.answer('query', request.id, signal, () =>
        this.query(request.id, request.query, signal),
      );
    } else {
      this.scoring.abort();
      this.scoring = new AbortController();
      const { signal } = this.scoring;
      void this.answer('string', request.id, signal, async () => {
        const scored = await this.scored(request.text, request.label, signal);
        post({ kind: 'score', id: request.id, scored });
      });
    }
  }

  private async answer(
    place: Place,
    id: number,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) fault(place, id, error);
    }
  }

  private async query(id: number, query: Query, signal: AbortSignal): Promise<void> {
    const { engine } = this;
    const plan = planOf(engine, query);
    await this.samples(id, query, plan, signal);
    if (query.mode === 'prefix') {
      const tokens = (await nextTokens(engine, plan.prompt, plan, signal)).slice(0, NEXT);
      post({ kind: 'next', id, tokens: tokens.map(({ token: text, prob }) => ({ text, prob })) });
    }
    await this.likely(id, { ...plan, sampling: engine.samplingOf(PLAIN) }, signal);
  }

  /** Sends the most likely strings, or why there are none: the search for them may be long. */
  private async likely(id: number, plan: Plan, signal: AbortSignal): Promise<void> {
    const search = new AbortController();
    const timer = setTimeout(() => search.abort(), LIKELY_MS);
    signal.addEventListener('abort', () => search.abort());
    try {
      const next = new NextTokens(this.engine, plan, search.signal);
      const found = await new BestFirstSearch(next, anyText, LIKELY).run();
      const strings = found.strings.map((text, i) => ({ text, prob: found.probabilities[i] }));
      post({ kind: 'likely', id, strings, note: '' });
    } catch (error) {
      if (signal.aborted) return;
      const note = search.signal.aborted ? `not found in ${LIKELY_MS / 1000} s` : messageOf(error);
      post({ kind: 'likely', id, strings: [], note });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends the strings as they are found, each with what its tokens' probabilities are. */
  private async samples(id: number, query: Query, plan: Plan, signal: AbortSignal): Promise<void> {
    const start = performance.now();
    let shown = start - SHOWN_EVERY; // the first one at once
    let made: Scored[] = [];
    let note = '';
    const flush = () => {
      if (made.length > 0) post({ kind: 'samples', id, samples: made });
      made = [];
      shown = performance.now();
    };
    try {
      const filtered = query.mode !== 'prefix' && query.text !== '';
      const rows = { seed: BigInt(query.seed), firstRow: 0n, signal };
      const search = new RowSearch(this.engine, plan, rows, {
        passes: anyText,
        logProbs: false,
        mostRows: (found) => defaultMaxRows(found + 1, filtered),
        reason: (found, tried) =>
          `${grouped(found)} strings were found in ${grouped(tried)} rows` +
          (found ? '' : '; fewer than 1 in so many pass'),
      });
      let left = query.n;
      for await (const chunk of search.chunks(Infinity, CHUNK)) {
        for (const { text } of chunk.slice(0, left)) {
          made.push(await this.scored(text, query.label, signal));
          if (performance.now() - shown >= SHOWN_EVERY) flush();
        }
        left -= chunk.length;
        if (left <= 0) break;
      }
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      note = error.message;
    }
    flush();
    post({ kind: 'done', id, milliseconds: performance.now() - start, note });
  }

  private async scored(text: string, label: string, signal: AbortSignal): Promise<Scored> {
    const ids = [...this.engine.encode(text), STOP];
    const scores = await scoreIds(this.engine, ids, { label: label || undefined, signal });
    return {
      text,
      pieces: scores.map(({ token, logProb }) => ({ text: token, prob: Math.exp(logProb) })),
      logProb: scores.reduce((sum, each) => sum + each.logProb, 0),
    };
  }
}

async function start(): Promise<void> {
  const here = new URL('./', location.href);
  const bytes = new Uint8Array(await (await fetchFile('model.onnx')).arrayBuffer());
  const { engine } = await openEngine(bytes, 'model.onnx', () => singleThreaded(() => ortAt(here)));
  const { model, level, tokens, labels } = engine.artifact;
  const answers = new Answers(engine);
  addEventListener('message', ({ data }: MessageEvent<Request>) => answers.take(data));
  post({
    kind: 'loaded',
    facts: {
      model: model.type,
      parameters: model.parameters,
      level,
      tokens: tokens.length,
      labels,
    },
  });
}

start().catch((error) => fault('page', 0, error));
