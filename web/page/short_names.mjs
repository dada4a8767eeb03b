// Which names of members the page's scripts may have shortened.
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*$/gm;

/** A member in a file of declarations. */
const DECLARED = /^\s+(?:readonly |get |set |static )*([\w$]+)\??\s*[(<:]/gm;

/** A member of a class or an interface in the sources: by its keyword, or a public method. */
const MEMBER =
  /\b(?:private|protected|readonly) (?:(?:readonly|override|async|get) |\*)*(\w+)\??(?: =|[:;(<])/g;
const METHOD = /^ {2}(?:(?:static|abstract|override|async|get) |\*)*(\w+)(?:<\w+>)?\(/gm;

const FIELD = /^ {2}(\w+)(?:: [^=;]+)? = [^,]*;$/gm;

/** A word in quotes in what is bundled may name a member: such names stay. */
const QUOTED = /'(\w+)'/g;

/** The code of files, without comments. */
async function codeOf(paths) {
  const texts = await Promise.all(paths.map((path) => readFile(`${WEB}${path}`, 'utf8')));
  return texts.join('\n').replace(COMMENT, '');
}

/** The code of the files below a folder whose paths match. */
async function codeBelow(folder, pattern) {
  const names = await readdir(`${WEB}${folder}`, { recursive: true });
  return codeOf(
    names
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

function named(code, ...patterns) {
  const found = patterns.flatMap((pattern) => [...code.matchAll(pattern)]);
  return new Set(found.map((match) => match[1]));
}

/**
 * For the worker and for the page, a pattern of the names that our classes and interfaces have, and
 * that neither JavaScript, nor what the script runs in, nor ONNX Runtime has. What the two send each
 * other has the same names in both.
 */
export async function shortNames(scripts) {
  const bundles = await build({
    entryPoints: scripts,
    bundle: true,
    write: false,
    outdir: WEB,
    metafile: true,
    absWorkingDir: WEB,
  });
  const strings = await codeOf(Object.keys(bundles.metafile.inputs));
  const sources = (await codeBelow('src', /\.ts$/)) + (await codeBelow('page', /\.ts$/));
  const messages = named(await codeBelow('page', /^messages\.ts$/), MEMBER);
  const language = await codeBelow('node_modules/@typescript', /lib\.es\w*(\.\w+)*\.d\.ts$/);
  const ort = await codeBelow('node_modules/onnxruntime-common/dist/esm', /\.d\.ts$/);
  const [worker, page] = await Promise.all(
    [/lib\.webworker(\.\w+)*\.d\.ts$/, /lib\.dom(\.\w+)*\.d\.ts$/].map(async (pattern) =>
      named(language + ort + (await codeBelow('node_modules/@typescript', pattern)), DECLARED),
    ),
  );
  const quoted = named(strings, QUOTED);
  const own = [...named(sources, MEMBER, METHOD, FIELD)].filter((name) => !quoted.has(name));
  const pattern = (here, there) => {
    const free = own.filter(
      (name) =>
        !here.has(name) && !(messages.has(name) && there.has(name)) && name !== 'constructor',
    );
    return new RegExp(`^(${free.join('|')})$`);
  };
  return { worker: pattern(worker, page), page: pattern(page, worker) };
}
