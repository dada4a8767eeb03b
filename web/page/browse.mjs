// Visits a page of `mm-export --web` in Chromium, uses it, and prints what was seen as JSON.
// node page/browse.mjs URL PREFIX WRONG VISITS     WRONG: text that the model cannot spell
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const [url, prefix, wrong] = process.argv.slice(2);

/** A visit of its own: everything that goes wrong in it is noted in `noted`. */
async function visit(browser, use, { script = '', ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const noted = { requests: [], faults: [] };
  await page.addInitScript(`
    addEventListener('securitypolicyviolation', (event) => console.error('CSP', event.violatedDirective));
    ${script}`);
  context.on('request', (request) => noted.requests.push(request.url()));
  context.on('requestfailed', (request) => noted.faults.push(`failed: ${request.url()}`));
  page.on('pageerror', (error) => noted.faults.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) noted.faults.push(message.text());
  });
  await page.goto(url);
  const seen = await use(page, context);
  await context.close();
  return { ...seen, ...noted };
}

/** Waits for the end of what was asked last, and reads it. */
async function strings(page) {
  await page.locator('#likely[aria-busy=false]').waitFor({ state: 'attached' });
  return {
    command: await page.textContent('#command'),
    samples: await page.$$eval('#samples button', (all) =>
      all.map((each) => each.getAttribute('aria-label').replace(/, (1 in|never).*/, '')),
    ),
    likely: await page.$$eval('#likely button', (all) => all.map((each) => each.textContent)),
    next: await page.$$eval('#next .token', (all) =>
      all.map((each) => each.firstChild.textContent),
    ),
    fault: await fault(page, 'query-fault'),
  };
}

async function fault(page, id) {
  const shown = page.locator(`#${id}`);
  return (await shown.isVisible()) ? shown.textContent() : '';
}

async function serious(page) {
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Presses Tab until an element has the focus. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 60; presses += 1) {
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not come to ${selector}`);
}

async function press(page, key, times = 1) {
  for (let i = 0; i < times; i += 1) await page.keyboard.press(key);
}

/** What a first visitor sees, and then with a prefix, in light and dark. */
async function reading(page) {
  await page.waitForFunction(() => performance.getEntriesByName('first sample').length > 0);
  const { startTime } = await page.evaluate(() =>
    performance.getEntriesByName('first sample')[0].toJSON(),
  );
  const first = await strings(page);
  await page.fill('#text', prefix);
  const prefixed = await strings(page);
  const axe = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    axe.push(...(await serious(page)));
  }
  return { firstSample: Math.round(startTime), first, prefixed, axe };
}

async function opening(page) {
  return { first: await strings(page) };
}

/** All of the page without a pointer. */
async function keyboard(page) {
  await strings(page);
  await tabTo(page, '#text');
  await page.keyboard.type(prefix);
  await strings(page);
  await tabTo(page, '#next button');
  await press(page, 'ArrowRight');
  await press(page, 'Enter');
  const text = await page.inputValue('#text');
  const inText = await page.evaluate(() => document.activeElement.id);
  await tabTo(page, '[name=temperature]');
  await press(page, 'ArrowLeft', 4);
  await tabTo(page, '[name=topP]');
  await press(page, 'ArrowLeft', 2);
  await tabTo(page, '[name=topK]');
  await press(page, 'ArrowUp', 5);
  await tabTo(page, '#seed');
  await press(page, 'Control+A');
  await page.keyboard.type('18446744073709551615');
  const drawn = await strings(page);
  await tabTo(page, '#samples button');
  await press(page, 'ArrowDown');
  await press(page, 'Enter');
  await page.locator('#tokens li').first().waitFor();
  const opened = await page.inputValue('#string');
  await tabTo(page, '#copy');
  await press(page, 'Enter');
  await page.waitForFunction(() => document.getElementById('copy').textContent !== 'Copy');
  return { text, inText, drawn, opened };
}

/** The probabilities of a string's tokens, and how likely it is, as the page shows them. */
async function score(page, string) {
  await page.fill('#string', string);
  await page.locator('#tokens[aria-busy=false]').waitFor({ state: 'attached' });
  return {
    tokens: await page.$$eval('#tokens .share', (all) => all.map((each) => each.textContent)),
    sum: await page.textContent('#score-sum'),
    fault: await fault(page, 'string-fault'),
  };
}

/** Patterns, faults and scores. */
async function asking(page, context) {
  await strings(page);
  await context.setOffline(true); // nothing is fetched any more
  await page.check('[value=wildcard]', { force: true });
  await page.fill('#text', `${prefix}*`);
  const wildcard = await strings(page);
  await page.check('[value=matching]', { force: true });
  await page.fill('#text', `${prefix}.*`);
  const matching = await strings(page);
  await page.check('[value=prefix]', { force: true });
  await page.fill('#text', wrong);
  const refused = await strings(page);
  await page.fill('#text', '');
  const [sample] = (await strings(page)).samples;
  const scores = { sample, known: await score(page, sample), unknown: await score(page, wrong) };
  await page.fill('#seed', 'x');
  const seed = await fault(page, 'query-fault');
  await context.setOffline(false);
  const blamed = await page.$$eval('[aria-invalid]', (all) => all.map(({ id }) => id));
  return { wildcard, matching, refused, seed, blamed, scores };
}

async function narrow(page) {
  await strings(page);
  const scrolled = await page.evaluate(() => scrollY);
  const closed = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.click('summary');
  const opened = await page.evaluate(() => document.documentElement.scrollWidth);
  return { widths: [closed, opened], scrolled, axe: await serious(page) };
}

/** The one message of a page that cannot work. */
async function broken(page) {
  await page.locator('.fault').locator('visible=true').first().waitFor();
  return { message: await page.locator('.fault').locator('visible=true').first().textContent() };
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
const visits = {
  reading: () => visit(browser, reading),
  opening: () => visit(browser, opening),
  keyboard: () => visit(browser, keyboard),
  asking: () => visit(browser, asking),
  narrow: () => visit(browser, narrow, { viewport: { width: 360, height: 740 } }),
  broken: () => visit(browser, broken),
  'no WebAssembly': () => visit(browser, broken, { script: 'delete globalThis.WebAssembly' }),
  'no JavaScript': () => visit(browser, broken, { javaScriptEnabled: false }),
};
const wanted = process.argv[5].split(',');
const seen = {};
for (const name of wanted) seen[name] = await visits[name]();
await browser.close();
console.log(JSON.stringify(seen));
