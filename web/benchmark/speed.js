// node benchmark/speed.js FOLDER [BROWSER]: how fast a page samples from FOLDER/model.onnx.
//
// The page's strings are compared with those of Node first. Times are medians of five rounds.

import { join } from 'node:path';
import { load } from '../dist/makemore.js';
import { RUNTIME, withPage } from '../test/page_server.js';

const [folder, browser = '/usr/bin/chromium'] = process.argv.slice(2);
const OPTIONS = { seed: 1 };

async function inPage([runtime, options]) {
  const { load } = await import('/dist/makemore.js');
  const timed = async (work) => {
    const begin = performance.now();
    const result = await work();
    return [performance.now() - begin, result];
  };
  const [loadMs, sampler] = await timed(() => load('/artifacts/model.onnx', { ort: runtime }));
  const [firstMs] = await timed(() => sampler.sample(1, options));
  const strings = await sampler.sample(1000, options);
  const median = async (n) => {
    const times = [];
    for (let round = 0; round < 5; ++round) {
      times.push((await timed(() => sampler.sample(n, { ...options, firstRow: round * n })))[0]);
    }
    return times.sort((a, b) => a - b)[2];
  };
  const perSecond = {};
  for (const n of [1, 100, 1000, 10_000]) perSecond[n] = Math.round((1000 * n) / (await median(n)));
  return { loadMs, firstMs, strings, perSecond, browser: navigator.userAgent };
}

const { strings, ...found } = await withPage(browser, folder, (page) =>
  page.evaluate(inPage, [RUNTIME, OPTIONS]),
);
const sampler = await load(join(folder, 'model.onnx'));
if (`${strings}` !== `${await sampler.sample(1000, OPTIONS)}`) throw new Error('strings differ');
await sampler.close();
console.log(JSON.stringify(found, null, 2));
