/**
 * Writes the snapshot of prices in `prices/`: `npm run generate:prices`. A file for each source, and the list of the
 * names they know; nothing else has a price on a fresh install.
 *
 * - `aws.json`: what `scripts/prices/aws.json` has by hand, and every file of an offer of the AWS Price List that
 *   `--offer FILE` names (may be given more than once; where to fetch them: `offerUrl` in `src/pricing/aws-offer.ts`).
 * - `litellm.json`: the map in the Python package `litellm`. `--litellm PATH` names the package (`.whl`) or the map
 *   itself; without it the package is downloaded into a temporary folder. It is unpacked and read, never run. 1.107.0
 *   is reported to have been tampered with and is refused.
 * - `genai-prices.json`: the npm package that is installed.
 *
 * `--check` writes nothing and exits 1 if a file would change.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readOffer } from '../src/pricing/aws-offer.ts';
import { longContextOf } from '../src/pricing/price-document.ts';
import {
  checkFactFile,
  type FactFile,
  formatFactFile,
  indexFacts,
  makeFactFile,
  openFactFile,
} from '../src/pricing/fact-file.ts';
import type { PriceFact, PriceFacts } from '../src/pricing/price-fact.ts';
import { readInstalledPrices } from './prices/genai-prices.ts';
import { readLiteLlm } from './prices/litellm.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** The day on which the sources below were read. */
const READ_ON = '2026-11-28';
const LITELLM_VERSION = '1.110.2';
const TAMPERED = '1.107.0';
/** When it was published, as `npm view` says. */
const GENAI_PRICES = { version: '0.1.8', asOf: '2026-09-23', readOn: READ_ON };
const MAP = 'litellm/model_prices_and_context_window_backup.json';

const { values: options } = parseArgs({
  options: {
    litellm: { type: 'string' },
    offer: { type: 'string', multiple: true, default: [] },
    check: { type: 'boolean', default: false },
  },
});

const map = readMap(options.litellm);
const liteLlm = readLiteLlm(map.text, map);
if (installedVersion('@pydantic/genai-prices') !== GENAI_PRICES.version) {
  throw new Error('another version of @pydantic/genai-prices is installed: write its version and day in this script');
}
const genaiPrices = readInstalledPrices(GENAI_PRICES, liteLlm.file.models);
const known = indexFacts([liteLlm.file, genaiPrices.file]);
const aws = readAws(known);
const names = [...new Set([...liteLlm.names, ...genaiPrices.names, ...aws.models])];
const files = {
  'aws.json': formatFactFile(aws),
  'litellm.json': formatFactFile(liteLlm.file),
  'genai-prices.json': formatFactFile(genaiPrices.file),
  'names.json': `${JSON.stringify(names.filter((name) => name !== 'guardrails').toSorted(), undefined, 1)}\n`,
};
let changed = 0;
for (const [name, text] of Object.entries(files)) {
  const path = join(ROOT, 'prices', name);
  if (readIfThere(path) === text) continue;
  changed += 1;
  if (!options.check) writeFileSync(path, text);
  say(`prices/${name} ${options.check ? 'would change' : 'is written'}`);
}
for (const [field, count] of liteLlm.unread) say(`not read, of ${count} entries of LiteLLM: ${field}`);
for (const conflict of liteLlm.conflicts) say(`told twice by LiteLLM, the first counts: ${conflict}`);
if (options.check && changed > 0) process.exitCode = 1;

/** What stands by hand, and over it what the price list says. */
function readAws(facts: PriceFacts): FactFile {
  const byHand = openFactFile(readFileSync(join(ROOT, 'scripts/prices/aws.json'), 'utf8'));
  checkFactFile(byHand);
  const ids = [...new Set([...facts.models, ...byHand.models])];
  const found = new Map(byHand.models.flatMap(byHand.readFacts).map((fact) => [keyOf(fact), fact]));
  let published = byHand.asOf;
  for (const path of options.offer) {
    const offer = readOffer(readFileSync(path, 'utf8'), {
      ids,
      findLongContext: (id) => longContextOf(facts.find(id)),
    });
    if (offer.publishedOn > published) published = offer.publishedOn;
    say(
      `${path}: ${offer.facts.length} prices; ${offer.skipped} rows are left out, such as ${offer.examples.join(', ')}`,
    );
    for (const fact of offer.facts) found.set(keyOf(fact), fact);
  }
  const title = options.offer.length === 0 ? byHand.title : 'the AWS Price List, and AWS by hand';
  const windows = new Map(byHand.models.map((model) => [model, byHand.readWindow(model) ?? {}]));
  return makeFactFile({ ...byHand, title, asOf: published }, found.values(), windows);
}

function keyOf({ model, place, scope, tier, aboveTokens, unit, limits }: PriceFact): string {
  return JSON.stringify([model, place, scope, tier, aboveTokens, unit, limits ?? null]);
}

/** The text of the map, with the version of its package. */
function readMap(path: string | undefined): { text: string; version: string; asOf: string } {
  if (path === undefined) return downloadMap();
  const version = /litellm-(\d+(?:\.\d+)*)-/.exec(basename(path))?.[1] ?? LITELLM_VERSION;
  if (version === TAMPERED) throw new Error(`litellm ${TAMPERED} is reported to have been tampered with: take another`);
  const text = path.endsWith('.whl') ? run('unzip', ['-p', path, MAP]) : readFileSync(path, 'utf8');
  return { text, version, asOf: READ_ON };
}

function downloadMap(): ReturnType<typeof readMap> {
  const folder = mkdtempSync(join(tmpdir(), 'prices-'));
  try {
    const wanted = `litellm==${LITELLM_VERSION}`;
    run('pip', ['download', '--no-deps', '--only-binary=:all:', '--dest', folder, wanted]);
    const [wheel = ''] = globSync('litellm-*.whl', { cwd: folder });
    return readMap(join(folder, wheel));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (error !== undefined || status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
  return stdout;
}

function installedVersion(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  return (JSON.parse(readFileSync(join(dirname(entry), '../package.json'), 'utf8')) as { version: string }).version;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
