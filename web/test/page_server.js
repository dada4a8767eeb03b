// A page in a browser, from a server on loopback that serves nothing but what it is given.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const HEADERS = {
  'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
};
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Where the page finds the files of onnxruntime-web. */
export const RUNTIME = '/node_modules/onnxruntime-web/dist/';

/**
 * Calls `use` with an empty page of a server whose /artifacts/ is `folder`, and whose rest is this
 * package. Throws where the page asked another server for anything.
 */
export async function withPage(browserPath, folder, use) {
  const server = createServer(async ({ url }, response) => {
    const path = normalize(decodeURIComponent(new URL(url, 'http://x').pathname));
    const file = path.startsWith('/artifacts/') ? join(folder, path.slice(11)) : join(WEB, path);
    try {
      const body = path === '/' ? '<!doctype html><title>makemore</title>' : await readFile(file);
      const type =
        path === '/' ? 'text/html' : (TYPES[extname(file)] ?? 'application/octet-stream');
      response.writeHead(200, { ...HEADERS, 'Content-Type': type }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
  try {
    const page = await browser.newPage();
    const origin = `http://127.0.0.1:${server.address().port}`;
    const elsewhere = [];
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== origin) elsewhere.push(request.url());
    });
    await page.goto(`${origin}/`);
    const result = await use(page);
    if (elsewhere.length > 0) throw new Error(`requests left the origin: ${elsewhere}`);
    return result;
  } finally {
    await browser.close();
    server.close();
  }
}
