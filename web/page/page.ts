/** The page: what is typed goes to the worker, what the worker finds is shown. */

import { command } from './command.js';
import { describeForm, field, get, readQuery } from './form.js';
import type { Facts, Place, Query, Request, Response, Scored } from './messages.js';
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

const FAULTS: Readonly<Record<Place, string>> = {
  page: 'fault',
  query: 'query-fault',
  string: 'string-fault',
};

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
      this.fault(
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
      this.fault('page', answer.message);
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
    this.clearFault('query');
    let query: Query;
    try {
      query = readQuery();
    } catch (error) {
      this.fault('query', (error as Error).message);
      return;
    }
    get('command').replaceChildren(...commandLine(command(artifact, query)));
    this.query += 1;
    this.shown = 0;
    this.givenPrefix = query.mode === 'prefix' && query.text !== '';
    busy(true);
    this.send({ kind: 'sample', id: this.query, query });
  }

  /** Asks for the probability of each token of the string that is looked at. */
  private look(): void {
    this.clearFault('string');
    this.score += 1;
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
      busy(false);
    } else if (answer.kind === 'fault') {
      this.fault('query', answer.message);
      busy(false);
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
    if (answer.kind === 'score') {
      const { pieces, logProb } = answer.scored;
      get('tokens').replaceChildren(...pieces.map(tokenItem));
      get('score-sum').textContent =
        `${oneIn(logProb)} · ${logProb.toFixed(2).replace('-', '\u2212')} nats`;
    } else if (answer.kind === 'fault') {
      get('tokens').replaceChildren();
      get('score-sum').textContent = '';
      this.fault('string', answer.message);
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

  private fault(place: Place, message: string): void {
    const shown = get(FAULTS[place]);
    shown.textContent = message;
    shown.hidden = false;
    if (place === 'page') {
      document.body.classList.add('broken');
      status.textContent = '';
    }
    if (place === 'query') text.setAttribute('aria-invalid', 'true');
    if (place === 'string') string.setAttribute('aria-invalid', 'true');
  }

  private clearFault(place: Place): void {
    get(FAULTS[place]).hidden = true;
    (place === 'query' ? text : string).removeAttribute('aria-invalid');
  }
}

/** Tells programs that read the page aloud, and tests, that lists will change. */
function busy(now: boolean): void {
  for (const list of ['samples', 'likely']) get(list).setAttribute('aria-busy', String(now));
}

function refuse(message: string): void {
  const fault = get('fault');
  fault.textContent = message;
  fault.hidden = false;
  status.textContent = '';
  document.body.classList.add('broken');
}

if (location.protocol === 'file:') {
  refuse(
    'A browser opens this page from a web server only. In its folder, run: python -m http.server  and open http://localhost:8000',
  );
} else if (typeof WebAssembly !== 'object') {
  refuse(
    'This browser has no WebAssembly, which runs the model. It may be switched off, or the browser may be too old.',
  );
} else {
  new Page(new Worker('worker.js', { type: 'module' }));
}
