// Builds the page that `mm-export --web` writes, into the Python package that ships it.
// node page/build.mjs            writes it
// node page/build.mjs --check    fails where what is there is not what the sources give
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { shortNames } from './short_names.mjs';

const FOLDER = new URL('../../export/makemore_export/packing/page/', import.meta.url);
const SHARED = {
  bundle: true,
  minify: true,
  target: 'es2022',
  charset: 'utf8',
  write: false,
  logLevel: 'warning',
};

function here(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** HTML without the space between its lines and the quotes that it does not need. */
function shortened(html) {
  return html
    .replace(/\n +/g, '\n')
    .replace(/>\n</g, '><')
    .replace(/="([\w-]+)"/g, '=$1');
}

const names = await shortNames([here('worker.ts'), here('page.ts')]);
const worker = await build({
  ...SHARED,
  entryPoints: [here('worker.ts')],
  format: 'esm',
  outfile: 'worker.js',
  mangleProps: names.worker,
  mangleCache: {},
});
/** The page in one script that needs no module, so that it can say why where one cannot be loaded. */
const page = await build({
  ...SHARED,
  entryPoints: [here('page.ts')],
  format: 'iife',
  outfile: 'page.js',
  mangleProps: names.page,
  mangleCache: worker.mangleCache,
});
const style = await build({ ...SHARED, entryPoints: [here('page.css')], outfile: 'page.css' });
const html = await readFile(here('index.html'), 'utf8');

const built = new Map(
  [...page.outputFiles, ...style.outputFiles, ...worker.outputFiles].map((file) => [
    basename(file.path),
    file.text,
  ]),
);
built.set('index.html', shortened(html));
built.set('icon.svg', await readFile(here('icon.svg'), 'utf8'));

let stale = false;
for (const [name, text] of built) {
  const target = new URL(name, FOLDER);
  if (!process.argv.includes('--check')) {
    await writeFile(target, text);
  } else if (text !== (await readFile(target, 'utf8').catch(() => ''))) {
    console.error(`${fileURLToPath(target)} is not what the sources give: npm run page`);
    stale = true;
  }
}
process.exitCode = stale ? 1 : 0;
