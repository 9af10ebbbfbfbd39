/**
 * Writes the reference parts of the docs: `npm run generate:docs`. What stands between `<!-- generated: NAME -->` and
 * `<!-- end -->` in a page is made here from the program's own tables; the prose around it is written by hand.
 * A test compares the result with the files, so a page cannot go stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildProgram } from '../src/cli/main.ts';
import { renderAdminFields, renderAdminPaths } from './docs/admin.ts';
import { renderCommandHelps, renderCommandTable } from './docs/commands.ts';
import { renderExplanations } from './docs/explanations.ts';
import { readOpenApi } from './docs/openapi.ts';
import { renderInspectorPaths } from './docs/inspector.ts';
import { renderConfigSchema } from './docs/config-schema.ts';
import { renderPriceCoverage, renderPriceDisagreements, renderPriceSources } from './docs/prices.ts';
import {
  renderErrorFacts,
  renderErrors,
  renderLedgerFields,
  renderOperations,
  renderOptions,
  renderProjectOptions,
  renderServices,
  renderVariables,
} from './docs/tables.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const REGION = /(<!-- generated: ([a-z-]+) -->\n)[^]*?(<!-- end -->)/g;

/** The pages that have generated regions, below the root of the repository. */
const PAGES = [
  'docs/cli.md',
  'docs/configuration.md',
  'docs/errors.md',
  'docs/admin-api.md',
  'docs/coverage.md',
  'docs/costs.md',
  'docs/inspector.md',
  'docs/explain.md',
];

/** Every page and package.json as they should be, by path. */
export async function generateDocs(): Promise<Map<string, string>> {
  const openapi = await readOpenApi();
  const program = buildProgram();
  const renderers: Readonly<Record<string, () => string>> = {
    commands: () => renderCommandTable(program),
    'command-helps': () => renderCommandHelps(program),
    options: renderOptions,
    'project-options': renderProjectOptions,
    variables: renderVariables,
    errors: renderErrors,
    explanations: renderExplanations,
    'admin-paths': () => renderAdminPaths(openapi),
    'admin-fields': () => renderAdminFields(openapi),
    'inspector-paths': renderInspectorPaths,
    'ledger-fields': renderLedgerFields,
    services: renderServices,
    operations: renderOperations,
    'price-sources': renderPriceSources,
    'price-coverage': renderPriceCoverage,
    'price-disagreements': renderPriceDisagreements,
  };
  const pages = PAGES.map((path): [string, string] => {
    const filled = readFileSync(join(ROOT, path), 'utf8').replaceAll(REGION, (_, head: string, name, tail: string) => {
      const render = renderers[String(name)];
      if (render === undefined) throw new Error(`${path}: nothing generates "${String(name)}"`);
      return `${head}\n${render()}\n\n${tail}`;
    });
    return [path, renderErrorFacts(filled)];
  });
  return new Map([
    ...pages,
    ['docs/bedrock-proxy.schema.json', renderConfigSchema()],
    ['package.json', linkPackage(readFileSync(join(ROOT, 'package.json'), 'utf8'))],
  ]);
}

/** `homepage` and `bugs` follow `repository`, which is the one place that holds the address of the project. */
function linkPackage(text: string): string {
  const { repository } = JSON.parse(text) as { repository: { url: string } };
  const address = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
  return text.replace(/("homepage": ")[^"]*/, `$1${address}#readme`).replace(/("bugs": ")[^"]*/, `$1${address}/issues`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of await generateDocs()) {
    if (readFileSync(join(ROOT, path), 'utf8') === text) continue;
    writeFileSync(join(ROOT, path), text);
    process.stdout.write(`${path} is written anew\n`);
  }
}
