/** A list of buttons with one stop for the Tab key: the arrow keys move among them. */

const STEPS: Readonly<Record<string, number>> = {
  ArrowRight: 1,
  ArrowDown: 1,
  ArrowLeft: -1,
  ArrowUp: -1,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

export function roving(list: HTMLElement): void {
  list.addEventListener('keydown', (event) => {
    const step = STEPS[event.key];
    const buttons = [...list.querySelectorAll('button')].filter(
      (each) => each.offsetParent !== null,
    );
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (step === undefined || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = Math.min(Math.max(at + step, 0), buttons.length - 1);
    event.preventDefault();
    buttons[to].focus();
  });
  list.addEventListener('focusin', (event) => {
    for (const button of list.querySelectorAll('button')) {
      button.tabIndex = button === event.target ? 0 : -1;
    }
  });
}

/** Replaces the items; the first of the buttons is the stop of the Tab key. */
export function replaceItems(list: HTMLElement, items: readonly HTMLElement[]): void {
  list.replaceChildren(...items);
  list.querySelectorAll('button').forEach((button, place) => {
    button.tabIndex = place === 0 ? 0 : -1;
  });
}
