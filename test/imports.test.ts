/**
 * Who may import whom: the rules of src/ as tables, read from the import statements themselves. A new folder or library
 * needs a line here, and that is the moment to think about where it belongs.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/**
 * The folders of src/, lowest first. A folder may import those of the rows above its own, and itself; folders of one
 * row do not import each other. `proxy.ts` stands alone: it names every stage in order.
 */
const ROWS: readonly (readonly string[])[] = [
  ['lib'],
  ['domain'],
  ['http'],
  ['protocol'],
  ['operations'],
  ['config'],
  ['keys', 'pricing', 'filter'],
  ['auth', 'routing', 'admission', 'metering', 'faults'],
  ['upstream'],
  ['cassette'],
  ['accounting'],
  ['diagnose'],
  ['telemetry'],
  ['inspector'],
  ['proxy.ts'],
  ['server', 'admin', 'store', 'inspector-api'],
  ['app'],
  ['cli'],
  ['testing'],
];

/** Folders that may import a library. `node:` is everybody's, but for `domain`, which does no I/O. */
const LIBRARY_HOMES: Readonly<Record<string, readonly string[]>> = {
  undici: ['upstream/aws'],
  '@smithy/signature-v4': ['upstream/aws'],
  '@aws-crypto/sha256-js': ['upstream/aws'],
  '@aws-sdk/credential-provider-ini': ['upstream/aws'],
  '@aws-sdk/credential-provider-node': ['upstream/aws'],
  '@aws-sdk/nested-clients': ['upstream/aws'],
  '@smithy/core': ['upstream/aws'],
  '@smithy/eventstream-codec': ['protocol', 'upstream/offline'],
  'better-sqlite3': ['store/sqlite', 'store/exchanges'],
  pg: ['store/postgres'],
  '@redis/client': ['store/redis'],
  commander: ['cli'],
  asn1js: ['server'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-http': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-trace': ['telemetry'],
  zod: ['admin'],
  chalk: ['app', 'cli'],
  vitest: ['testing'],
};

/** What only the edge may touch. */
const EDGE = ['cli', 'app', 'config', 'testing'];
const EDGE_ONLY =
  /\bprocess\.(env|argv|exit|exitCode|stdout|stderr|stdin|platform)\b|\bconsole\.|\bfrom 'node:process'/;

interface SourceFile {
  /** Below src/, with forward slashes. */
  readonly name: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

interface Import {
  /** A file below src/, or a package. */
  readonly target: string;
  readonly isOurs: boolean;
  /** `import type`, or nothing but types in braces: gone at run time. */
  readonly isTypeOnly: boolean;
  readonly isDynamic: boolean;
}

const FILES: readonly SourceFile[] = globSync('**/*.ts', { cwd: SRC })
  .map((path) => path.split(sep).join('/'))
  .toSorted()
  .map((name) => {
    const text = withoutComments(readFileSync(join(SRC, name), 'utf8'));
    return { name, text, imports: readImports(name, text) };
  });

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
}

function readImports(name: string, text: string): Import[] {
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s+)?(?:([\w\s{},*$]*?)\s*\bfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'/gm,
  );
  return [...found].map(([, type, clause = '', fixed, dynamic]) => {
    const specifier = fixed ?? dynamic ?? '';
    const isOurs = specifier.startsWith('.');
    const target = isOurs
      ? relative(SRC, join(SRC, dirname(name), specifier))
          .split(sep)
          .join('/')
      : packageOf(specifier);
    const names = clause
      .replaceAll(/[{}\s]/g, ' ')
      .split(',')
      .filter((part) => part.trim() !== '');
    const isTypeOnly = type !== undefined || (names.length > 0 && names.every((part) => /^\s*type\s/.test(part)));
    return { target, isOurs, isTypeOnly, isDynamic: dynamic !== undefined };
  });
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:';
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The folder directly below src/, or the file. */
const folderOf = (name: string): string => name.split('/')[0] ?? name;
const rowOf = (name: string): number => ROWS.findIndex((row) => row.includes(folderOf(name)));

function isAllowed(from: string, to: string): boolean {
  return rowOf(to) < rowOf(from) || folderOf(from) === folderOf(to);
}

const arrows = FILES.flatMap(({ name, imports }) =>
  imports.filter(({ isOurs }) => isOurs).map(({ target }) => ({ from: name, to: target })),
);

it('reads every kind of import', () => {
  const text = [
    'import { a,',
    "  type B } from './a.ts';",
    "import type { C } from '../errors.ts';",
    "import { type D } from 'undici';",
    "import Database from 'better-sqlite3';",
    "import '@smithy/core/config';",
    "export { e } from './e.ts';",
    "const { f } = await import('./f.ts');",
    'const s = "from \'./not.ts\'";',
  ].join('\n');
  expect(readImports('auth/x.ts', text)).toEqual([
    { target: 'auth/a.ts', isOurs: true, isTypeOnly: false, isDynamic: false },
    { target: 'errors.ts', isOurs: true, isTypeOnly: true, isDynamic: false },
    { target: 'undici', isOurs: false, isTypeOnly: true, isDynamic: false },
    { target: 'better-sqlite3', isOurs: false, isTypeOnly: false, isDynamic: false },
    { target: '@smithy/core', isOurs: false, isTypeOnly: false, isDynamic: false },
    { target: 'auth/e.ts', isOurs: true, isTypeOnly: false, isDynamic: false },
    { target: 'auth/f.ts', isOurs: true, isTypeOnly: false, isDynamic: true },
  ]);
});

describe('folders', () => {
  it.each(FILES)('has a row for the folder of $name', ({ name }) => {
    expect(rowOf(name)).toBeGreaterThanOrEqual(0);
  });

  it.each(FILES)('imports only folders of the rows above its own: $name', ({ name }) => {
    const forbidden = arrows.filter(({ from, to }) => from === name && !isAllowed(from, to)).map(({ to }) => to);
    expect(forbidden).toEqual([]);
  });

  it('keeps domain free of I/O', () => {
    expect(
      FILES.filter(
        ({ name, imports }) => folderOf(name) === 'domain' && imports.some(({ target }) => target === 'node:'),
      ),
    ).toEqual([]);
  });

  it('keeps folders of src at two levels at most', () => {
    expect(FILES.filter(({ name }) => name.split('/').length > 3).map(({ name }) => name)).toEqual([]);
  });

  it('imports only files that exist', () => {
    const names = new Set(FILES.map(({ name }) => name));
    expect(arrows.filter(({ to }) => !names.has(to))).toEqual([]);
  });

  it('has no cycle of imports, types included', () => {
    const targets = Map.groupBy(arrows, ({ from }) => from);
    const done = new Set<string>();
    const findCycle = (name: string, path: readonly string[]): readonly string[] | undefined => {
      if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
      if (done.has(name)) return undefined;
      for (const { to } of targets.get(name) ?? []) {
        const cycle = findCycle(to, [...path, name]);
        if (cycle !== undefined) return cycle;
      }
      done.add(name);
      return undefined;
    };
    expect(FILES.map(({ name }) => findCycle(name, [])).filter((cycle) => cycle !== undefined)).toEqual([]);
  });
});

describe('libraries', () => {
  const { dependencies, peerDependencies, peerDependenciesMeta, devDependencies } = JSON.parse(
    readFileSync(join(SRC, '../package.json'), 'utf8'),
  ) as Record<string, Readonly<Record<string, unknown>>>;

  /** A library of which there are only types is gone at run time. */
  const isLibrary = ({ isOurs, target, isTypeOnly }: Import): boolean =>
    !isOurs && target !== 'node:' && !(isTypeOnly && devDependencies?.[`@types/${target}`] !== undefined);
  const foreign = FILES.flatMap(({ name, imports }) =>
    imports.filter(isLibrary).map((imported) => ({ name, ...imported })),
  );

  it('imports libraries at home only', () => {
    const strays = foreign.filter(
      ({ name, target }) => !LIBRARY_HOMES[target]?.some((home) => name.startsWith(`${home}/`)),
    );
    expect(strays.map(({ name, target }) => `${name} imports ${target}`)).toEqual([]);
  });

  it('imports exactly the dependencies and peer dependencies of package.json', () => {
    const named = Object.keys({ ...dependencies, ...peerDependencies });
    expect(named.toSorted()).toEqual([...new Set(foreign.map(({ target }) => target))].toSorted());
  });

  it('makes libraries that users install themselves optional, and loads them when they are needed', () => {
    const optional = Object.keys(peerDependencies ?? {});
    expect(peerDependenciesMeta).toEqual(Object.fromEntries(optional.map((name) => [name, { optional: true }])));
    expect(devDependencies).toMatchObject(peerDependencies ?? {});
    const early = foreign.filter(
      ({ target, isTypeOnly, isDynamic }) => optional.includes(target) && !isTypeOnly && !isDynamic,
    );
    expect(early.map(({ name, target }) => `${name} imports ${target}`)).toEqual([]);
  });
});

describe('the process', () => {
  it.each(FILES.filter(({ name }) => !EDGE.includes(folderOf(name))))('leaves the process alone: $name', ({ text }) => {
    expect(text.split('\n').filter((line) => EDGE_ONLY.test(line))).toEqual([]);
  });
});

describe('start-up', () => {
  it('loads no library but commander and chalk before a command runs', () => {
    const loaded = new Set<string>();
    const libraries = new Set<string>();
    const load = (name: string): void => {
      if (loaded.has(name)) return;
      loaded.add(name);
      const imports = FILES.find((file) => file.name === name)?.imports ?? [];
      for (const { target, isOurs, isTypeOnly, isDynamic } of imports) {
        if (isTypeOnly || isDynamic || target === 'node:') continue;
        if (isOurs) load(target);
        else libraries.add(target);
      }
    };
    load('cli/main.ts');
    expect([...libraries].toSorted()).toEqual(['chalk', 'commander']);
  });
});
