/** The page: what is typed goes to the worker, what the worker finds is shown. */

import { command } from './command.js';
import { clearFault, showFault } from './faults.js';
import { describeForm, field, get, readQuery } from './form.js';
import type { Facts, Query, Request, Response, Scored } from './messages.js';
import { replaceItems, roving } from './roving.js';
import {
  commandLine,
  likelyItem,
  nextItem,
  oneIn,
  percent,
  sampleItem,
  tokenItem,
} from './view.js';

const artifact = document.querySelector<HTMLMetaElement>('meta[name=artifact]')?.content ?? 'model';
const form = get<HTMLFormElement>('query');
const text = get<HTMLInputElement>('text');
const string = get<HTMLInputElement>('string');
const status = get('status');
const wide = matchMedia('(min-width: 60rem)');

class Page {
  private query = 0; // the numbers of the last requests: older answers are dropped
  private score = 0;
  private shown = 0; // samples of the last request so far
  private givenPrefix = false; // whether probabilities are of strings with a prefix only
  private words = false; // whether tokens are words, each with the space before it

  constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Response>) => this.take(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      showFault(
        'page',
        `This page cannot start its worker: ${event.message || 'worker.js is missing, or this browser is too old'}.`,
      );
    });
    for (const list of ['next', 'samples', 'likely']) roving(get(list));
    this.showOptions();
    wide.addEventListener('change', () => this.showOptions());
    form.addEventListener('input', () => this.ask());
    form.addEventListener('submit', (event) => event.preventDefault());
    string.addEventListener('input', () => this.look());
    field('label').addEventListener('input', () => this.look());
    get('new-seed').addEventListener('click', () => this.newSeed());
    get('copy').addEventListener('click', () => void this.copy());
  }

  /** Where there is room, the options are always open. */
  private showOptions(): void {
    get<HTMLDetailsElement>('options').open = wide.matches;
  }

  private send(request: Request): void {
    this.worker.postMessage(request);
  }

  private take(answer: Response): void {
    if (answer.kind === 'loaded') {
      this.loaded(answer.facts);
    } else if (answer.kind === 'fault' && answer.place === 'page') {
      showFault('page', answer.message);
    } else if (answer.kind === 'score' || (answer.kind === 'fault' && answer.place === 'string')) {
      if (answer.id === this.score) this.takeScore(answer);
    } else if (answer.id === this.query) {
      this.takeStrings(answer);
    }
  }

  private loaded(facts: Facts): void {
    const [weights, tokens] = [facts.parameters, facts.tokens].map((count) =>
      count.toLocaleString('en'),
    );
    get('facts').textContent = `${facts.model}, ${weights} weights, ${tokens} ${facts.level}s`;
    text.disabled = false;
    string.disabled = false;
    const labels = field('label') as unknown as HTMLSelectElement;
    get('label-option').hidden = facts.labels.length === 0;
    this.words = facts.level === 'word';
    if (facts.level !== 'character') get('samples').style.setProperty('--column', '20rem');
    for (const label of facts.labels) labels.append(new Option(label, label));
    this.ask();
  }

  /** Sends what the form says; what is shown stays until the answer comes. */
  private ask(): void {
    describeForm();
    clearFault('query');
    clearFault('seed');
    let query: Query;
    try {
      query = readQuery();
    } catch (error) {
      showFault('seed', (error as Error).message);
      return;
    }
    get('command').replaceChildren(...commandLine(command(artifact, query)));
    this.query += 1;
    this.shown = 0;
    this.givenPrefix = query.mode === 'prefix' && query.text !== '';
    busy(true, 'samples', 'likely');
    this.send({ kind: 'sample', id: this.query, query });
  }

  /** Asks for the probability of each token of the string that is looked at. */
  private look(): void {
    clearFault('string');
    this.score += 1;
    busy(true, 'tokens');
    this.send({ kind: 'score', id: this.score, text: string.value, label: field('label').value });
  }

  private open(value: string): void {
    string.value = value;
    this.look();
  }

  private openAndShow(value: string): void {
    this.open(value);
    string.scrollIntoView({ block: 'nearest' });
  }

  private takeStrings(answer: Response): void {
    if (answer.kind === 'next') {
      replaceItems(
        get('next'),
        answer.tokens.map((token) => nextItem(token, (more) => this.append(more))),
      );
    } else if (answer.kind === 'samples') {
      this.showSamples(answer.samples);
    } else if (answer.kind === 'done') {
      if (this.shown === 0) replaceItems(get('samples'), []);
      const count = `${this.shown.toLocaleString('en')} in ${Math.round(answer.milliseconds)} ms`;
      status.textContent = answer.note ? `${count}; ${answer.note}` : count;
    } else if (answer.kind === 'likely') {
      replaceItems(
        get('likely'),
        answer.strings.map((each) => likelyItem(each, (value) => this.openAndShow(value))),
      );
      const mass = percent(answer.strings.reduce((sum, each) => sum + each.prob, 0));
      const given = `${mass}${this.givenPrefix ? ', given the prefix' : ' of all'}`;
      get('likely-sum').textContent = answer.note || given;
      busy(false, 'samples', 'likely');
    } else if (answer.kind === 'fault') {
      showFault('query', answer.message);
      busy(false, 'samples', 'likely');
      for (const list of ['next', 'samples', 'likely']) replaceItems(get(list), []);
      get('likely-sum').textContent = '';
      status.textContent = '';
    }
  }

  private showSamples(samples: readonly Scored[]): void {
    const items = samples.map((sample) => sampleItem(sample, (value) => this.openAndShow(value)));
    if (this.shown === 0) {
      replaceItems(get('samples'), items);
      if (this.score === 0) {
        performance.mark('first sample');
        this.open(samples[0].text);
      }
    } else {
      for (const button of items.map((item) => item.querySelector('button')))
        if (button) button.tabIndex = -1;
      get('samples').append(...items);
    }
    this.shown += samples.length;
  }

  private takeScore(answer: Response): void {
    busy(false, 'tokens');
    if (answer.kind === 'score') {
      const { pieces, logProb } = answer.scored;
      get('tokens').replaceChildren(...pieces.map(tokenItem));
      get('score-sum').textContent =
        `${oneIn(logProb)} · ${logProb.toFixed(2).replace('-', '\u2212')} nats`;
    } else if (answer.kind === 'fault') {
      get('tokens').replaceChildren();
      get('score-sum').textContent = '';
      showFault('string', answer.message);
    }
  }

  private append(more: string): void {
    text.value += this.words && text.value === '' ? more.trimStart() : more;
    text.focus();
    this.ask();
  }

  private newSeed(): void {
    field('seed').value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    this.ask();
  }

  private async copy(): Promise<void> {
    const button = get('copy');
    const code = get('command');
    try {
      await navigator.clipboard.writeText(code.textContent ?? '');
      button.textContent = 'Copied';
    } catch {
      getSelection()?.selectAllChildren(code); // a page without https has no clipboard
      button.textContent = 'Selected';
    }
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1500);
  }
}

/** Tells programs that read the page aloud, and tests, that lists will change. */
function busy(now: boolean, ...lists: string[]): void {
  for (const list of lists) get(list).setAttribute('aria-busy', String(now));
}

if (location.protocol === 'file:') {
  showFault(
    'page',
    'A browser opens this page from a web server only. In its folder, run: python -m http.server  and open http://localhost:8000',
  );
} else if (typeof WebAssembly !== 'object') {
  showFault(
    'page',
    'This browser has no WebAssembly, which runs the model. It may be switched off, or the browser may be too old.',
  );
} else {
  new Page(new Worker('worker.js', { type: 'module' }));
}
