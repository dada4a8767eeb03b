// How soon a page of `mm-export --web` shows its first string, in Chromium, with an empty cache.
// node page/measure.mjs URL [VISITS]
import { chromium } from 'playwright-core';

const [url, visits = '10'] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const found = [];
for (let visit = 0; visit < Number(visits); visit += 1) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('#likely[aria-busy=false]').waitFor({ state: 'attached' });
  found.push(
    await page.evaluate(() => {
      const [navigation] = performance.getEntriesByType('navigation');
      const [first] = performance.getEntriesByName('first sample');
      return { loaded: navigation.loadEventEnd, first: first.startTime };
    }),
  );
  await context.close();
}
const version = browser.version();
await browser.close();

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const first = found.map((each) => Math.round(each.first));
console.log(
  JSON.stringify({
    chromium: version,
    visits: found.length,
    'page loaded, ms': Math.round(median(found.map((each) => each.loaded))),
    'first string, ms': median(first),
    'of all': first,
  }),
);
