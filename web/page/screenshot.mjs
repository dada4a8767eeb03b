// Draws the picture of the page that the README shows.
// mm-inspect names --web www && python -m http.server -d www
// node page/screenshot.mjs http://localhost:8000/ ../docs/web-page.png [WIDTH] [light|dark] [PREFIX]
// python -c "from PIL import Image as I; p = '../docs/web-page.png'; I.open(p).convert('RGB').quantize(64, dither=I.Dither.NONE).save(p, optimize=True)"
import { writeFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const [url, file, width = '1100', colorScheme = 'light', prefix = 'mar'] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage({
  viewport: { width: Number(width), height: 800 },
  colorScheme,
});
await page.goto(url);
await page.locator('#likely[aria-busy=false]').waitFor({ state: 'attached' });
await page.fill('#text', prefix);
await page.locator('#likely[aria-busy=false]').waitFor({ state: 'attached' });
await page.locator('#samples button').first().click();
await page.locator('#tokens li').first().waitFor();
await page.mouse.move(0, 0);
await page.focus('#text');
await page.waitForTimeout(300); // the bars grow
await writeFile(file, await page.screenshot({ fullPage: true }));
await browser.close();
