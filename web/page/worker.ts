/** The model, beside the page, so that typing never waits for it. */

import {
  ExhaustedError,
  type FilterOptions,
  load,
  type SampleOptions,
  type Sampler,
} from '../src/index.js';
import type { Place, Query, Request, Response, Scored } from './messages.js';

const LIKELY = 20;
/** How long the likeliest strings are searched for. */
const LIKELY_MS = 10_000;
const NEXT = 12;
/** How often samples are shown while more are made, in ms. */
const SHOWN_EVERY = 60;

function post(response: Response): void {
  postMessage(response);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fault(place: Place, id: number, error: unknown): void {
  post({ kind: 'fault', id, place, message: messageOf(error) });
}

/** Answers the page with one model. */
class Answers {
  private sampling = new AbortController();
  private scoring = new AbortController();

  constructor(private readonly sampler: Sampler) {}

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
    const draw = {
      temperature: query.temperature,
      topK: query.topK,
      topP: query.topP,
      label: query.label || undefined,
      signal,
    };
    const filter = query.text ? { [query.mode]: query.text } : {};
    await this.samples(id, query.n, { ...draw, ...filter, seed: BigInt(query.seed) }, signal);
    if (query.mode === 'prefix') {
      const tokens = (await this.sampler.nextTokens(query.text, draw)).slice(0, NEXT);
      post({ kind: 'next', id, tokens: tokens.map(({ token: text, prob }) => ({ text, prob })) });
    }
    await this.likely(id, { ...filter, label: draw.label }, signal);
  }

  /** Sends the most likely strings, or why there are none: the search for them may be long. */
  private async likely(id: number, options: FilterOptions, signal: AbortSignal): Promise<void> {
    const search = new AbortController();
    const timer = setTimeout(() => search.abort(), LIKELY_MS);
    signal.addEventListener('abort', () => search.abort());
    try {
      const found = await this.sampler.mostLikely(LIKELY, { ...options, signal: search.signal });
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
  private async samples(
    id: number,
    n: number,
    options: SampleOptions,
    signal: AbortSignal,
  ): Promise<void> {
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
      let left = n;
      for await (const text of this.sampler.stream(options)) {
        made.push(await this.scored(text, options.label ?? '', signal));
        if (performance.now() - shown >= SHOWN_EVERY) flush();
        left -= 1;
        if (left === 0) break;
      }
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      note = error.message;
    }
    flush();
    post({ kind: 'done', id, milliseconds: performance.now() - start, note });
  }

  private async scored(text: string, label: string, signal: AbortSignal): Promise<Scored> {
    const scores = await this.sampler.scoreTokens(text, { label: label || undefined, signal });
    return {
      text,
      pieces: scores.map(({ token, logProb }) => ({ text: token, prob: Math.exp(logProb) })),
      logProb: scores.reduce((sum, each) => sum + each.logProb, 0),
    };
  }
}

async function start(): Promise<void> {
  const sampler = await load('model.onnx', { ort: new URL('./', location.href) });
  const { model, level, tokens, labels } = sampler.artifact;
  const answers = new Answers(sampler);
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
