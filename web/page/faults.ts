/** Messages of what went wrong, each where it belongs on the page. */

import { get } from './form.js';
import type { Place } from './messages.js';

/** Where a message stands, and the field that it is about. */
const PLACES: Readonly<Record<Place, { message: string; field?: string }>> = {
  page: { message: 'fault' },
  query: { message: 'query-fault', field: 'text' },
  seed: { message: 'query-fault', field: 'seed' },
  string: { message: 'string-fault', field: 'string' },
};

/** Shows a message; one about the whole page takes its place. */
export function showFault(place: Place, message: string): void {
  const { message: id, field } = PLACES[place];
  get(id).textContent = message;
  get(id).hidden = false;
  if (field === undefined) document.body.classList.add('broken');
  else get(field).setAttribute('aria-invalid', 'true');
}

export function clearFault(place: Place): void {
  const { message, field } = PLACES[place];
  get(message).hidden = true;
  if (field !== undefined) get(field).removeAttribute('aria-invalid');
}
