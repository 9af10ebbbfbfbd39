// Builds the inspector's page: `page/src` to `page/built`, which the repository holds, because a clone runs without
// devDependencies. The same input gives the same bytes on every machine.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const PAGE = new URL('../page/', import.meta.url);
const BUNDLED = ['preact', '@preact/signals', '@preact/signals-core', 'diff'];

/**
 * Every file of the page, by its path below `page/built/`.
 *
 * @returns {Promise<Map<string, string>>}
 */
export async function buildPage() {
  const bundle = await rolldown({
    input: fileURLToPath(new URL('src/main.tsx', PAGE)),
    cwd: fileURLToPath(new URL('..', PAGE)),
    platform: 'browser',
    tsconfig: fileURLToPath(new URL('tsconfig.json', PAGE)),
    transform: {
      jsx: { runtime: 'automatic', importSource: 'preact' },
      define: { 'process.env.NODE_ENV': '"production"' },
    },
    logLevel: 'silent',
  });
  const { output } = await bundle.generate({ format: 'es', minify: true, codeSplitting: false });
  await bundle.close();
  const [{ code }] = output;
  const style = ['style.css', ...listStyles()].map((name) => read(`src/${name}`)).join('\n');
  return new Map([
    ['index.html', read('index.html')],
    ['assets/page.js', `/*! ${licences()} */\n${code}`],
    ['assets/page.css', style],
    ['assets/icon.svg', read('icon.svg')],
  ]);
}

/** Style sheets of folders, in their order in `page/src/styles.txt`. */
function listStyles() {
  return read('src/styles.txt')
    .split('\n')
    .filter((name) => name !== '');
}

/** What the licences of the libraries in it ask for. */
function licences() {
  return BUNDLED.map((name) => {
    const text = readFileSync(new URL(`../node_modules/${name}/LICENSE`, PAGE), 'utf8');
    return `${name}\n\n${text.trim()}`;
  })
    .join('\n\n')
    .replaceAll('*/', '* /');
}

/** @param {string} name */
function read(name) {
  return readFileSync(new URL(name, PAGE), 'utf8');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = new URL('built/', PAGE);
  rmSync(built, { recursive: true, force: true });
  mkdirSync(new URL('assets/', built), { recursive: true });
  for (const [name, text] of await buildPage()) writeFileSync(new URL(name, built), text);
}
