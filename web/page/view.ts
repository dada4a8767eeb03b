/** What the page shows of strings, tokens and probabilities. */

import type { Piece, Scored } from './messages.js';

const END = 'end';

/** An element with a class and its content: text, or other elements. */
function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className: string,
  ...content: (string | Node)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** A command line that breaks between its parts. */
export function commandLine(parts: readonly string[]): Node[] {
  return parts
    .flatMap((part, place) => [...(place ? [' '] : []), element('span', 'part', part)])
    .map((part) => (typeof part === 'string' ? document.createTextNode(part) : part));
}

/** A probability in percent, with the digits that matter. */
export function percent(probability: number): string {
  const value = 100 * probability;
  if (value >= 99.95) return '100%';
  if (value >= 10) return `${value.toFixed(0)}%`;
  if (value >= 1) return `${value.toFixed(1)}%`;
  if (value >= 0.01) return `${value.toFixed(2)}%`;
  return value > 0 ? '<0.01%' : '0%';
}

/** "1 in 8,519": how rare a string is. */
export function oneIn(logProb: number): string {
  const rarity = Math.exp(-logProb);
  if (!Number.isFinite(rarity)) return 'never';
  if (rarity < 1e15) return `1 in ${Math.round(rarity).toLocaleString('en')}`;
  const power = Math.floor(-logProb / Math.LN10);
  return `1 in ${(rarity / 10 ** power).toFixed(1)} × 10^${power}`;
}

/** A token as it can be seen: spaces and what is not printed have signs. */
function visible(text: string): string {
  return text.replace(/\n/g, '⏎').replace(/\t/g, '⇥') || END;
}

/** A token that stands alone: the space before a word is left out. */
function alone(text: string): string {
  return visible(text.replace(/^ (?=.)/, ''));
}

/** A bar under a token, as long as its probability. */
function bar(probability: number): HTMLElement {
  const made = element('span', 'bar');
  made.style.setProperty('--p', probability.toFixed(4));
  return made;
}

/** A string as a button, with a bar under each of its tokens. */
export function sampleItem(
  { text, pieces, logProb }: Scored,
  open: (text: string) => void,
): HTMLElement {
  const button = element('button', 'sample');
  button.type = 'button';
  if (text === '') button.append(element('span', 'quiet', '(empty)'));
  pieces.forEach((piece, place) => {
    if (piece.text === '') return;
    const token = element('span', 'token', place === 0 ? alone(piece.text) : visible(piece.text));
    token.style.setProperty('--p', piece.prob.toFixed(4));
    button.append(token);
  });
  button.setAttribute('aria-label', `${text || '(empty)'}, ${oneIn(logProb)}`);
  button.title = oneIn(logProb);
  button.addEventListener('click', () => open(text));
  return element('li', '', button);
}

/** A token that may come next, as a button that appends it; the stop is no button. */
export function nextItem({ text, prob }: Piece, append: (text: string) => void): HTMLElement {
  const share = element('span', 'share', percent(prob));
  if (text === '') {
    return element('li', '', element('span', 'chip quiet', END, share, bar(prob)));
  }
  const button = element('button', 'chip', element('span', 'token', alone(text)), share, bar(prob));
  button.type = 'button';
  button.addEventListener('click', () => append(text));
  return element('li', '', button);
}

/** A token of a string with its probability in figures. */
export function tokenItem({ text, prob }: Piece): HTMLElement {
  const token = element('span', text ? 'token' : 'token quiet', alone(text));
  return element('li', '', token, bar(prob), element('span', 'share', percent(prob)));
}

export function likelyItem({ text, prob }: Piece, open: (text: string) => void): HTMLElement {
  const button = element('button', 'sample', text || element('span', 'quiet', '(empty)'));
  button.type = 'button';
  button.addEventListener('click', () => open(text));
  return element('li', '', button, element('span', 'share', oneIn(Math.log(prob))));
}
