/** README against the program: whatever path, command, flag, variable or error code it names is there, and the tables are whole. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_KINDS } from '../src/lib/errors.ts';
import { TOKEN_RATES } from '../src/pricing/cost.ts';
import { parsePriceFile } from '../src/pricing/price-file.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { INTERRUPTED } from '../src/accounting/ledger-row.ts';
import { OPTIONS } from '../src/config/options.ts';
import { openCli } from './helpers/cli.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const README = readFileSync(`${ROOT}README.md`, 'utf8');
const BLOCKS = [...README.matchAll(/^```\w*\n([^]*?)^```$/gm)].map(([, text = '']) => text);
const PROSE = README.replaceAll(/^```\w*\n[^]*?^```$/gm, '');
const SPANS = [...PROSE.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
/** Everything that is written as code. */
const CODE = [...SPANS, ...BLOCKS.join('').split('\n')];

/** What README says of other tools. */
const FOREIGN_FLAGS = ['--node'];

function unique(found: Iterable<string>): string[] {
  return [...new Set(found)].toSorted();
}

/** The cells of the tables of a section, without their heads. */
function rowsOf(title: string): string[][] {
  const section = README.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
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
  const linked = [...PROSE.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => path);

  it('are named at all', () => expect(named.length).toBeGreaterThan(5));

  it.each(unique([...named, ...linked]))('%s is there', (path) => {
    expect(path.includes('*') ? globSync(path, { cwd: ROOT }).length > 0 : existsSync(ROOT + path)).toBe(true);
  });
});

describe('commands', () => {
  /** Filled by the first test: a helper of tests cleans up after it. */
  const helps = new Map<string, string>();
  const named = unique(
    CODE.flatMap((line) =>
      [...line.matchAll(/(?:^|\s|\()bedrock-proxy ((?:(?:key|prices) )?[a-z][a-z-]*)/g)].map(([, name = '']) => name),
    ),
  );

  it('tell their help', async () => {
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

  it.each(named)('%s is one', (name) => expect([...helps.keys()]).toContain(name));

  it('stand all in the table', () => {
    const table = rowsOf('Commands').flatMap(([cell]) =>
      spansOf(cell).map((text) => text.replace('bedrock-proxy ', '')),
    );
    expect(table.toSorted()).toEqual(
      [...helps.keys()].filter((name) => !['', 'key', 'prices'].includes(name)).toSorted(),
    );
  });

  const FLAG = /(?:^|[\s`([])(--[a-z][a-z-]+)/g;
  const flags = unique(
    CODE.filter((line) => !/^\s*(\$ )?(curl|npm|python3?|git|docker) /.test(line)).flatMap((line) =>
      [...line.matchAll(FLAG)].map(([, flag = '']) => flag),
    ),
  ).filter((flag) => !FOREIGN_FLAGS.includes(flag));

  it.each(flags)('some command knows %s', (flag) => {
    expect([...helps.values()].some((help) => new RegExp(`(^|[\\s,])${flag}\\b(?!-)`, 'm').test(help))).toBe(true);
  });

  it('know the flags that the table gives them', () => {
    const wrong = rowsOf('Commands').flatMap(([name = '', words]) => {
      const help = helps.get(spansOf(name)[0]?.replace('bedrock-proxy ', '') ?? '') ?? '';
      const flagsHere = spansOf(words).flatMap((text) => [...text.matchAll(FLAG)].map(([, flag = '']) => flag));
      return flagsHere.filter((flag) => !help.includes(flag)).map((flag) => `${name} ${flag}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe('variables', () => {
  const source = globSync('src/**/*.ts', { cwd: ROOT })
    .map((path) => readFileSync(ROOT + path, 'utf8'))
    .join('\n');
  const named = unique(CODE.flatMap((text) => text.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []));

  it.each(named.filter((name) => !name.startsWith('ERR_')))('%s is known to src', (name) => {
    const parts = /^(AWS_ENDPOINT_URL_)(BEDROCK\w*)$/.exec(name);
    if (parts === null) expect(source).toMatch(new RegExp(`\\b${name}\\b`));
    else expect(source).toContain(`'${parts[2]}'`);
  });

  it.each(named.filter((name) => name.startsWith('ERR_')))('%s is an error code', (name) => {
    // One stands in the ledger only.
    expect([...Object.keys(ERROR_KINDS), INTERRUPTED]).toContain(name);
  });
});

describe('the tables', () => {
  it('of options is that of src/options.ts', () => {
    const flags = rowsOf('Options').filter(([cell = '']) => cell.startsWith('`--'));
    const shown = flags.map(([flag = '', value = '', variables = '', ...words]) => ({
      flag: flag.replaceAll('`', ''),
      value: value.replaceAll('`', ''),
      variables: spansOf(variables),
      words: words.join('|'),
    }));
    const actual = Object.values(OPTIONS).map((option) => ({
      flag: option.flag,
      value: 'default' in option ? option.default : '',
      variables: [...option.env],
      words: option.description,
    }));
    expect(shown).toEqual(actual);
  });

  it('of errors is that of src/errors.ts', () => {
    const rows = rowsOf('Errors');
    expect(rows.map(([code = '']) => code.replaceAll('`', ''))).toEqual(Object.keys(ERROR_KINDS));
    // Some never go over the wire, and show neither.
    const wrong = rows.filter(([code = '', status = '', type = '']) => {
      const kind = Object.entries(ERROR_KINDS).find(([name]) => name === code.replaceAll('`', ''))?.[1];
      return status !== '' && (status !== String(kind?.status) || type.replaceAll('`', '') !== kind?.awsType);
    });
    expect(wrong).toEqual([]);
  });

  it('of dependencies is that of package.json', () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Record<
      string,
      object
    >;
    expect(
      rowsOf('Dependencies')
        .flatMap(([cell]) => spansOf(cell))
        .toSorted(),
    ).toEqual(Object.keys({ ...dependencies, ...peerDependencies }).toSorted());
  });
});

describe('what it cost', () => {
  const rows = rowsOf('What it cost');

  it('shows a price file that the program takes, and all fields that one may have', () => {
    const file = BLOCKS.find((block) => block.includes('"guardrail_units"')) ?? '';
    expect(parsePriceFile(file).entries.length).toBeGreaterThan(2);
    const fields = rows
      .flatMap(([cell]) => spansOf(cell))
      .filter((name) => /^(?:\w+_mtok|[a-z]+|guardrail_units)$/.test(name));
    expect(fields.toSorted()).toEqual(
      [...Object.keys(TOKEN_RATES), 'image', 'request', 'tiers', 'guardrail_units'].toSorted(),
    );
    const tiers = spansOf(rows.find(([cell]) => cell === '`tiers`')?.[1]).filter((tier) => tier !== 'standard');
    for (const tier of tiers) {
      expect(() => parsePriceFile(`{"models":{"a":{"tiers":{"${tier}":{"request":1}}}}}`)).not.toThrow();
    }
    expect(tiers.length).toBe(5);
  });

  it('names metrics that there are', async () => {
    const { body } = createMetrics().render();
    const named = rows.flatMap(([cell]) => spansOf(cell)).filter((name) => /_(?:total|seconds|flight)$/.test(name));
    expect(named.length).toBeGreaterThan(8);
    for (const name of named) expect(body).toContain(`# HELP bedrock_proxy_${name} `);
  });
});
