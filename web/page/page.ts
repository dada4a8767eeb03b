/** The page: what is typed goes to the worker, what the worker finds is shown. */

import { command } from './command.js';
import type { Facts, Mode, Place, Query, Request, Response, Scored } from './messages.js';
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

const HINTS: Readonly<Record<Mode, string>> = {
  prefix: 'Every string begins so.',
  wildcard: '* is any text, ? one character.',
  matching: 'Matches the whole string, as in m[aeiou]r.*',
};
const LABELS: Readonly<Record<Mode, string>> = {
  prefix: 'Prefix',
  wildcard: 'Wildcard',
  matching: 'Regular expression',
};
const PLACEHOLDERS: Readonly<Record<Mode, string>> = {
  prefix: 'begins with …',
  wildcard: '*a?',
  matching: '.{4,6}',
};
const MAX_SEED = 2n ** 64n;
const FAULTS: Readonly<Record<Place, string>> = {
  page: 'fault',
  query: 'query-fault',
  string: 'string-fault',
};

function get<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const artifact = document.querySelector<HTMLMetaElement>('meta[name=artifact]')?.content ?? 'model';
const form = get<HTMLFormElement>('query');
const text = get<HTMLInputElement>('text');
const string = get<HTMLInputElement>('string');
const status = get('status');
const wide = matchMedia('(min-width: 60rem)');

function field(name: string): HTMLInputElement {
  return form.elements.namedItem(name) as HTMLInputElement;
}

class Page {
  private query = 0; // the numbers of the last requests: older answers are dropped
  private score = 0;
  private shown = 0;

  constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Response>) => this.take(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.fault(
        'page',
        `The worker of this page does not start: ${event.message || 'this browser may be too old'}.`,
      );
    });
    for (const list of ['next', 'samples', 'likely']) roving(get(list));
    this.showOptions();
    wide.addEventListener('change', () => this.showOptions());
    form.addEventListener('input', () => this.ask());
    form.addEventListener('submit', (event) => event.preventDefault());
    string.addEventListener('input', () => this.look());
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
    for (const label of facts.labels) labels.append(new Option(label, label));
    this.ask();
  }

  /** Sends what the form says; what is shown stays until the answer comes. */
  private ask(): void {
    const mode = (form.elements.namedItem('mode') as RadioNodeList).value as Mode;
    get('hint').textContent = HINTS[mode];
    get('text-label').textContent = LABELS[mode];
    get('next-block').hidden = mode !== 'prefix';
    text.placeholder = PLACEHOLDERS[mode];
    for (const name of ['temperature', 'topP'])
      get(`${name}-shown`).textContent = field(name).value;
    this.clearFault('query');
    const seed = field('seed').value.trim();
    if (!/^[0-9]{1,20}$/.test(seed) || BigInt(seed) >= MAX_SEED) {
      this.fault('query', 'The seed is a whole number from 0 to 2^64 - 1.');
      return;
    }
    const query: Query = {
      mode,
      text: text.value,
      label: field('label').value,
      temperature: field('temperature').valueAsNumber,
      topK: whole(field('topK'), 0),
      topP: field('topP').valueAsNumber,
      seed: String(BigInt(seed)),
      n: whole(field('n'), 1),
    };
    get('command').replaceChildren(...commandLine(command(artifact, query)));
    this.query += 1;
    this.shown = 0;
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
        answer.strings.map((each) => likelyItem(each, (value) => this.open(value))),
      );
      const mass = answer.strings.reduce((sum, each) => sum + each.prob, 0);
      get('likely-sum').textContent = answer.strings.length ? `together ${percent(mass)}` : '';
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
    const items = samples.map((sample) => sampleItem(sample, (value) => this.open(value)));
    if (this.shown === 0) {
      replaceItems(get('samples'), items);
      if (this.score === 0) this.open(samples[0].text);
      performance.mark('first sample');
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
    text.value += more;
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

/** The whole number in a field, or what it may be least where there is none. */
function whole(input: HTMLInputElement, least: number): number {
  const value = Math.trunc(input.valueAsNumber);
  const most = input.max === '' ? Number.MAX_SAFE_INTEGER : Number(input.max);
  return Number.isNaN(value) ? least : Math.min(Math.max(value, least), most);
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
