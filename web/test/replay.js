// node test/replay.js FOLDER [BROWSER]: runs FOLDER/cases.json and writes FOLDER/found.json, in Node
// or in a page of that browser. Names of artifacts are relative to FOLDER.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from '../dist/makemore.js';
import { RUNTIME, withPage } from './page_server.js';
import { runCases } from './run_cases.js';

const [folder, browser] = process.argv.slice(2);
const cases = JSON.parse(await readFile(join(folder, 'cases.json'), 'utf8'));
const under = (place) => cases.map((each) => ({ ...each, artifact: place + each.artifact }));

async function inPage([cases, runtime]) {
  const { load } = await import('/dist/makemore.js');
  const { runCases } = await import('/test/run_cases.js');
  return runCases(load, cases, { ort: runtime });
}

const found =
  browser === undefined
    ? await runCases(load, under(`${folder}/`))
    : await withPage(browser, folder, (page) =>
        page.evaluate(inPage, [under('/artifacts/'), RUNTIME]),
      );
await writeFile(join(folder, 'found.json'), JSON.stringify(found));
