#!/usr/bin/env node
// The launcher. In a checkout (src/ beside bin/) it runs src/cli/main.ts, whose types Node strips; whatever is missing
// is set up first, by scripts/set-up.mjs. A published package has dist/cli/main.js, and never fetches anything: on an
// old Node it prints one line and ends. It must parse on Node 14, and with everything in place it must start no
// process.
import { existsSync } from 'fs';
import { fileURLToPath } from 'url';
import { canSetItselfUp, lineForOldNode } from './node-version.js';
import { endWithNpm } from './parent-watch.js';

const ROOT = new URL('../', import.meta.url);

async function launch() {
  endWithNpm();
  const isCheckout = existsSync(new URL('src/cli/main.ts', ROOT));
  if (isCheckout && canSetItselfUp(process.version)) {
    const { setUp } = await import('../scripts/set-up.mjs');
    const goesOn = await setUp({
      root: ROOT,
      script: new URL(import.meta.url),
      args: process.argv.slice(2),
      dev: false,
    });
    if (!goesOn) return;
  }
  const line = lineForOldNode(process.version);
  if (line) return fail(line);
  if (isCheckout) await keepCompiledSource();
  const { run } = await import(new URL(isCheckout ? 'src/cli/main.ts' : 'dist/cli/main.js', ROOT).href);
  await run(process.argv);
}

/**
 * Keeps the compiled source for the next start, which takes half as long. In the checkout and not in Node's default,
 * the folder of temporary files: on a shared machine others could put code of theirs there.
 */
async function keepCompiledSource() {
  const { enableCompileCache } = await import('module');
  enableCompileCache(fileURLToPath(new URL('node_modules/.cache/bedrock-proxy', ROOT)));
}

/**
 * Ends with one line on stderr and exit code 1.
 *
 * @param {string} line
 */
function fail(line) {
  process.stderr.write('bedrock-proxy: ' + line + '\n');
  process.exitCode = 1;
}

launch().catch((error) => {
  if (error.name !== 'SetUpError') throw error;
  fail(error.message);
});
