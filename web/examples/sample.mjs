// The README's six lines in Node: node examples/sample.mjs ARTIFACT [N] [SEED]
import { load } from 'makemore';

const [artifact = 'names', n = '10', seed = '1'] = process.argv.slice(2);
const sampler = await load(artifact);
for (const name of await sampler.sample(Number(n), { seed: BigInt(seed) })) console.log(name);
await sampler.close();
