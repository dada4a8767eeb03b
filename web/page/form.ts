/** The form of the page: from what it says to a query. */

import type { Mode, Query } from './messages.js';

const MODES: Readonly<Record<Mode, { label: string; hint: string; placeholder: string }>> = {
  prefix: { label: 'Prefix', hint: 'Every string begins so.', placeholder: 'begins with …' },
  wildcard: { label: 'Wildcard', hint: '* is any text, ? one character.', placeholder: '*a?' },
  matching: {
    label: 'Regular expression',
    hint: 'It matches the whole string.',
    placeholder: '.{4,6}',
  },
};
const MAX_SEED = 2n ** 64n;

export function get<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const form = get<HTMLFormElement>('query');

export function field(name: string): HTMLInputElement {
  return form.elements.namedItem(name) as HTMLInputElement;
}

/** Makes the form say what its mode means, and what its sliders stand at. */
export function describeForm(): void {
  const mode = readMode();
  get('hint').textContent = MODES[mode].hint;
  get('text-label').textContent = MODES[mode].label;
  get('next-block').hidden = mode !== 'prefix';
  field('text').placeholder = MODES[mode].placeholder;
  for (const name of ['temperature', 'topP']) get(`${name}-shown`).textContent = field(name).value;
}

/** What is asked for; `RangeError` where the seed is none. */
export function readQuery(): Query {
  const seed = field('seed').value.trim();
  if (!/^[0-9]{1,20}$/.test(seed) || BigInt(seed) >= MAX_SEED) {
    throw new RangeError('The seed is a whole number from 0 to 2^64 - 1.');
  }
  return {
    mode: readMode(),
    text: field('text').value,
    label: field('label').value,
    temperature: field('temperature').valueAsNumber,
    topK: whole(field('topK')),
    topP: field('topP').valueAsNumber,
    seed: String(BigInt(seed)),
    n: whole(field('n')),
  };
}

function readMode(): Mode {
  return (form.elements.namedItem('mode') as RadioNodeList).value as Mode;
}

/** The whole number in a field, within its limits; the least where there is none. */
function whole(input: HTMLInputElement): number {
  const [least, most] = [Number(input.min), Number(input.max)];
  const value = Math.trunc(input.valueAsNumber);
  return Number.isNaN(value) ? least : Math.min(Math.max(value, least), most);
}
