/**
 * Who may import whom: the house rules of src/ as tables, read from the import statements themselves. A new room or library
 * needs a line here, and that is the moment to think about where it belongs.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/**
 * Rooms (folders) and files, lowest first. Whoever stands in a row may import the rows above it, and its own folder; a file
 * named here is not counted to its folder.
 */
const ROWS: readonly (readonly string[])[] = [
  ['errors.ts', 'loopback.ts', 'reset.ts', 'printable.ts', 'usd.ts', 'metering/usage.ts', 'routing/operations.ts'],
  ['options.ts', 'store/store.ts'],
  ['metering/json-bytes.ts', 'metering/cost.ts'],
  ['exchange.ts', 'glob.ts', 'model-name.ts', 'metering/frames.ts', 'metering/sse.ts', 'metering/json-scan.ts'],
  ['answer.ts'],
  ['auth', 'routing', 'admission', 'upstream', 'metering'],
  ['config.ts', 'observe'],
  ['proxy.ts'],
  ['server', 'admin', 'store', 'offline'],
  ['cli'],
];

/** Arrows that the rows forbid and somebody decided to allow, with the reason. */
const EXCEPTIONS: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [];

/** Who may import a library: a file, or a whole folder. `node:` is everybody's. */
const LIBRARY_HOMES: Readonly<Record<string, readonly string[]>> = {
  undici: ['upstream/forward.ts'],
  '@smithy/signature-v4': ['upstream/sign.ts'],
  '@aws-crypto/sha256-js': ['upstream/sign.ts'],
  '@aws-sdk/credential-provider-ini': ['upstream/credentials.ts'],
  '@aws-sdk/credential-provider-node': ['upstream/credentials.ts'],
  '@smithy/core': ['upstream/credentials.ts'],
  '@smithy/eventstream-codec': ['metering/frames.ts', 'offline'],
  'better-sqlite3': ['store/sqlite-connection.ts'],
  commander: ['cli'],
  asn1js: ['server/make-certificate.ts'],
  '@pydantic/genai-prices': ['metering/prices.ts'],
  '@opentelemetry/api': ['observe/traces.ts'],
  '@opentelemetry/exporter-trace-otlp-http': ['observe/traces.ts'],
  '@opentelemetry/resources': ['observe/traces.ts'],
  '@opentelemetry/sdk-trace': ['observe/traces.ts'],
  zod: ['admin'],
  chalk: ['cli'],
};

/** What only the edge may touch. */
const EDGE = ['cli', 'config.ts'];
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

const roomOf = (name: string): string => name.split('/')[0] ?? name;
const rowOf = (name: string): number => {
  const own = ROWS.findIndex((row) => row.includes(name));
  return own === -1 ? ROWS.findIndex((row) => row.includes(roomOf(name))) : own;
};

/** The same folder is one room, apart from its files that have a row of their own; those may not look up into it. */
function isAllowed(from: string, to: string): boolean {
  if (rowOf(to) < rowOf(from)) return true;
  if (rowOf(to) === rowOf(from) && from.includes('/') && roomOf(from) === roomOf(to)) return true;
  return EXCEPTIONS.some((exception) => exception.from === from && exception.to === to);
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

describe('rooms', () => {
  it.each(FILES)('$name has a place in the house', ({ name }) => {
    expect(rowOf(name)).toBeGreaterThanOrEqual(0);
  });

  it.each(FILES)('$name imports only what stands above it', ({ name }) => {
    const forbidden = arrows.filter(({ from, to }) => from === name && !isAllowed(from, to)).map(({ to }) => to);
    expect(forbidden).toEqual([]);
  });

  it('imports files that exist', () => {
    const names = new Set(FILES.map(({ name }) => name));
    expect(arrows.filter(({ to }) => !names.has(to))).toEqual([]);
  });

  it('keeps no exception that nobody needs any more', () => {
    const unused = EXCEPTIONS.filter(
      (exception) =>
        rowOf(exception.to) < rowOf(exception.from) ||
        !arrows.some(({ from, to }) => from === exception.from && to === exception.to),
    );
    expect(unused).toEqual([]);
  });

  it('has no cycles, types included', () => {
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
  const foreign = FILES.flatMap(({ name, imports }) =>
    imports.filter(({ isOurs, target }) => !isOurs && target !== 'node:').map((imported) => ({ name, ...imported })),
  );

  it('are imported at home only', () => {
    const strays = foreign.filter(
      ({ name, target }) => !(LIBRARY_HOMES[target] ?? []).some((home) => home === name || home === roomOf(name)),
    );
    expect(strays.map(({ name, target }) => `${name} imports ${target}`)).toEqual([]);
  });

  const { dependencies, peerDependencies, peerDependenciesMeta, devDependencies } = JSON.parse(
    readFileSync(join(SRC, '../package.json'), 'utf8'),
  ) as Record<string, Readonly<Record<string, unknown>>>;

  it('are exactly the dependencies and peer dependencies of package.json', () => {
    const named = Object.keys({ ...dependencies, ...peerDependencies });
    expect(named.toSorted()).toEqual([...new Set(foreign.map(({ target }) => target))].toSorted());
  });

  it('that users install themselves are optional, here for the tests, and loaded when they are needed', () => {
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
  it.each(FILES.filter(({ name }) => !EDGE.includes(roomOf(name))))('is left alone by $name', ({ text }) => {
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
