// Runs what another program asks for and gives back what was found: in a page or in Node.

/**
 * cases: [{artifact, method, arguments}]; an artifact is loaded once for the cases that name it.
 * Gives what each call returned, or {error, message}.
 */
export async function runCases(load, cases, loadOptions) {
  const samplers = new Map();
  const found = [];
  for (const { artifact, method, arguments: given } of cases) {
    try {
      if (!samplers.has(artifact)) samplers.set(artifact, await load(artifact, loadOptions));
      found.push(plain(await samplers.get(artifact)[method](...given.map(withBigInts))));
    } catch (error) {
      found.push({ error: error.name, message: error.message });
    }
  }
  for (const sampler of samplers.values()) await sampler.close();
  return found;
}

/** Options whose seed and first row are texts, as JSON has no integers of 64 bits. */
function withBigInts(given) {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  const { seed = 0, firstRow = 0 } = given;
  return { ...given, seed: BigInt(seed), firstRow: BigInt(firstRow) };
}

/** The same in what JSON knows. */
function plain(value) {
  if (value instanceof Float64Array) return Array.from(value, plain);
  if (typeof value === 'bigint') return String(value);
  if (value === -Infinity) return '-inf';
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
