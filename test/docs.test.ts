/**
 * The docs against the program: whatever path, command, flag, variable or error code they name is there, and what is
 * generated is fresh.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_KINDS } from '../src/lib/errors.ts';
import { PIECE_UNITS } from '../src/domain/units.ts';
import { TOKEN_RATES } from '../src/pricing/cost.ts';
import { parsePriceFile } from '../src/pricing/price-file.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { INTERRUPTED } from '../src/domain/ledger-row.ts';
import { generateDocs } from '../scripts/generate-docs.ts';
import { openCli } from './helpers/cli.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Every page, by its path. */
const PAGES: ReadonlyMap<string, string> = new Map(
  [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'bench/README.md',
    'examples/README.md',
    ...globSync('docs/*.md', { cwd: ROOT }),
  ].map((path) => [path, readFileSync(ROOT + path, 'utf8')]),
);
const TEXT = [...PAGES.values()].join('\n');
const BLOCKS = [...TEXT.matchAll(/^```\w*\n([^]*?)^```$/gm)].map(([, text = '']) => text);
const PROSE = TEXT.replaceAll(/^```\w*\n[^]*?^```$/gm, '');
const SPANS = [...PROSE.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
/** Everything that is written as code. */
const CODE = [...SPANS, ...BLOCKS.join('').split('\n')];

/** What the docs say of other tools, and of our scripts. */
const FOREIGN_FLAGS = ['--node', '--all', '--enable', '--global', '--now', '--user', '--add-host'];
/** Of `aws ce get-cost-and-usage`. */
const AWS_FLAGS = ['--time-period', '--granularity', '--metrics', '--group-by'];

function unique(found: Iterable<string>): string[] {
  return [...new Set(found)].toSorted();
}

/** The cells of the tables of a page, or of one of its sections, without their heads. */
function rowsOf(page: string, title?: string): string[][] {
  const text = PAGES.get(page) ?? '';
  const section =
    title === undefined ? text : (text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '');
  return [...section.matchAll(/^\| *`.*\|$/gm)].map(([line]) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

const spansOf = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);

describe('paths of the repository', () => {
  const PATH = /(?:^|[\s("'=])((?:src|test|bench|scripts|bin)\/[\w./*-]*\w\/?)/g;
  const named = unique(
    [...CODE, ...PROSE.split('\n')].flatMap((text) => [...text.matchAll(PATH)].map(([, path = '']) => path)),
  );
  const linked = [...PAGES].flatMap(([page, text]) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => join(dirname(page), path)),
  );

  it('finds paths of the repository in the docs', () => expect(named.length).toBeGreaterThan(5));

  it.each(unique([...named.filter((path) => !/example|clients\/(?:go|java)/.test(path)), ...linked]))(
    'names a path that exists: %s',
    (path) => {
      expect(path.includes('*') ? globSync(path, { cwd: ROOT }).length > 0 : existsSync(ROOT + path)).toBe(true);
    },
  );
});

describe('commands', () => {
  /** Filled by the first test: a helper of tests cleans up after it. */
  const helps = new Map<string, string>();
  const named = unique(
    CODE.flatMap((line) =>
      [...line.matchAll(/(?:^|\s|\()bedrock-proxy ((?:(?:key|prices) )?[a-z][a-z-]*)/g)].map(([, name = '']) => name),
    ),
  );

  it('prints help for every command', async () => {
    const cli = await openCli();
    const list = async (...path: string[]): Promise<void> => {
      const { code, stdout: help } = await cli.run([...path, '--help']);
      expect(code).toBe(0);
      helps.set(path.join(' '), help);
      const commands = help.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
      for (const [, name = ''] of commands.matchAll(/^ {2}([a-z-]+)/gm)) if (name !== 'help') await list(...path, name);
    };
    await list();
    expect(helps.size).toBeGreaterThan(5);
  });

  it.each(named)('names a command that exists: %s', (name) => expect([...helps.keys()]).toContain(name));

  const FLAG = /(?:^|[\s`([])(--[a-z][a-z-]+)/g;
  const flags = unique(
    CODE.filter((line) => !/^\s*(\$ )?(curl|npm|python3?|git|docker) /.test(line)).flatMap((line) =>
      [...line.matchAll(FLAG)].map(([, flag = '']) => flag),
    ),
  ).filter((flag) => ![...FOREIGN_FLAGS, ...AWS_FLAGS].includes(flag));

  it.each(flags)('names a flag that some command has: %s', (flag) => {
    expect([...helps.values()].some((help) => new RegExp(`(^|[\\s,])${flag}\\b(?!-)`, 'm').test(help))).toBe(true);
  });
});

describe('variables', () => {
  const source = globSync('src/**/*.ts', { cwd: ROOT })
    .map((path) => readFileSync(ROOT + path, 'utf8'))
    .join('\n');
  const named = unique(CODE.flatMap((text) => text.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []));

  // The examples read the first two, Claude Code the next two, LiteLLM the others.
  const others = ['PROXY_URL', 'BEDROCK_PROXY_ARGS', 'ANTHROPIC_BASE_URL', 'ANTHROPIC_CUSTOM_HEADERS'].concat([
    'LITELLM_SALT_KEY',
    'REDIS_HOST',
    'REDIS_PORT',
    'REDIS_PASSWORD',
  ]);
  it.each(named.filter((name) => !name.startsWith('ERR_') && !others.includes(name)))(
    'names a variable that src has: %s',
    (name) => {
      const parts = /^(AWS_ENDPOINT_URL_)(BEDROCK\w*)$/.exec(name);
      if (parts === null) expect(source).toMatch(new RegExp(`\\b${name}\\b`));
      else expect(source).toContain(`'${parts[2]}'`);
    },
  );

  it.each(named.filter((name) => name.startsWith('ERR_')))('names an error code that exists: %s', (name) => {
    // One stands in the ledger only.
    expect([...Object.keys(ERROR_KINDS), INTERRUPTED]).toContain(name);
  });
});

describe('errors', () => {
  it('gives each error a heading to link to, in the order of the table', () => {
    const headings = [...(PAGES.get('docs/errors.md') ?? '').matchAll(/^## (ERR_\w+)$/gm)].map(([, code]) => code);
    expect(headings).toEqual(Object.keys(ERROR_KINDS));
  });
});

describe('what is generated', () => {
  it('holds what `npm run generate:docs` writes now', { timeout: 60_000 }, async () => {
    const stale = [...(await generateDocs())].filter(([path, text]) => readFileSync(ROOT + path, 'utf8') !== text);
    expect(stale.map(([path]) => path)).toEqual([]);
  });
});

describe('README', () => {
  it('fits two screens in the README', () =>
    expect(Buffer.byteLength(PAGES.get('README.md') ?? '')).toBeLessThan(9 * 1024));

  it('leads from the README to every page', () => {
    const links = [...(PAGES.get('README.md') ?? '').matchAll(/\]\((docs\/[\w-]+\.md)\)/g)].map(([, path]) => path);
    expect(unique(links.map(String))).toEqual(globSync('docs/*.md', { cwd: ROOT }).toSorted());
  });
});

describe('the tables', () => {
  it('lists the dependencies of package.json', () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Record<
      string,
      object
    >;
    expect(
      rowsOf('docs/architecture.md', 'Dependencies')
        .flatMap(([cell]) => spansOf(cell))
        .toSorted(),
    ).toEqual(Object.keys({ ...dependencies, ...peerDependencies }).toSorted());
  });
});

describe('costs', () => {
  it('shows a price file that the program takes, and all fields that one may have', () => {
    const file = BLOCKS.find((block) => block.includes('"guardrail_units"')) ?? '';
    expect(parsePriceFile(file).entries.length).toBeGreaterThan(2);
    const rows = rowsOf('docs/costs.md', 'Usage and prices');
    const fields = rows
      .flatMap(([cell]) => spansOf(cell))
      .filter((name) => /^(?:\w+_mtok|[a-z]+|guardrail_units|max_output_tokens)$/.test(name));
    const others = ['image', 'request', 'images', 'units', 'tiers', 'regions', 'max_output_tokens', 'guardrail_units'];
    expect(fields.toSorted()).toEqual([...Object.keys(TOKEN_RATES), ...others].toSorted());
    const units = spansOf(rows.find(([cell]) => cell === '`units`')?.[1]);
    expect(units.toSorted()).toEqual(Object.keys(PIECE_UNITS).toSorted());
    const tiers = spansOf(rows.find(([cell]) => cell === '`tiers`')?.[1]).filter((tier) => tier !== 'standard');
    for (const tier of tiers) {
      expect(() => parsePriceFile(`{"models":{"a":{"tiers":{"${tier}":{"request":1}}}}}`)).not.toThrow();
    }
    expect(tiers.length).toBe(5);
  });

  it('names metrics that exist', async () => {
    const { body } = createMetrics().render();
    const named = rowsOf('docs/costs.md', 'Where costs are shown')
      .flatMap(([cell]) => spansOf(cell))
      .filter((name) => /_(?:total|seconds|flight)$/.test(name));
    expect(named.length).toBeGreaterThan(8);
    for (const name of named) expect(body).toContain(`# HELP bedrock_proxy_${name} `);
  });
});
