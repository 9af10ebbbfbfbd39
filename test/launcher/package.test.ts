/** What is published, and that a clone can install what package-lock.json pins. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';

/** Packages that an install brings besides ours. To raise it is a decision: what for, and what the package weighs. */
const MAX_PACKAGES = 52;

interface LockedPackage {
  version?: string;
  /** Ours for tests, and optional for another package: a user has it no more than what is `dev`. */
  devOptional?: boolean;
  integrity?: string;
  resolved?: string;
  dev?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

describe('the published package', { tags: ['slow'] }, () => {
  let paths: readonly string[];

  beforeAll(() => {
    const text = execFileSync(process.execPath, ['scripts/run.mjs', 'package', '--dry-run', '--json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const packs = Object.values(JSON.parse(text)) as { files: { path: string }[] }[];
    paths = packs.flatMap(({ files }) => files.map(({ path }) => path));
  }, 120_000);

  it('holds the launcher, the build and what a reader needs', () => {
    expect(paths).toEqual(
      expect.arrayContaining(['bin/bedrock-proxy.js', 'dist/cli/main.js', 'package.json', 'README.md', 'LICENSE']),
    );
  });

  it('holds no sources and no set-up', () => {
    const expected =
      /^(bin\/[\w-]+\.js|prices\/[\w-]+\.json|dist\/[\w/-]+\.(js|json|html)|page\/built\/(index\.html|assets\/\w+\.\w+)|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/;
    // The types of what programs import.
    const types = ['dist/testing/vitest.d.ts'];
    expect(paths.filter((path) => !expected.test(path))).toEqual(types);
  });

  it('runs from its dist', () => {
    const args = [
      '--input-type=module',
      '-e',
      "const { run } = await import('./dist/cli/main.js'); await run(['', '', '--version']);",
    ];
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(`${version}\n`);
  });
});

describe('package-lock.json', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockedPackage> };
  const packages = Object.entries(lock.packages);

  // npm 11 and 12 refuse `npm ci` otherwise. npm leaves such a gap without a word when it writes the lock while a
  // platform's package is not in the registry: take a version whose packages all are, and write the lock anew without
  // node_modules.
  it('locks every dependency, those of other platforms too', () => {
    const missing = packages.flatMap(([path, { dependencies, devDependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
        .filter((name) => !findLocked(path, name))
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('pins contents in the lock file and names no registry', () => {
    for (const [path, { integrity, resolved }] of packages) {
      expect(resolved, path).toBeUndefined();
      if (path !== '') expect(integrity, path).toMatch(/^sha512-/);
    }
  });

  it('brings users few packages, and none of OpenTelemetry', () => {
    const installed = packages.filter(
      ([path, { dev = false, devOptional = false }]) => path !== '' && !dev && !devOptional,
    );
    // A second copy of a package makes room for one that only tests need.
    const names = new Set(installed.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13)));
    expect(names.size).toBeLessThanOrEqual(MAX_PACKAGES);
    expect([...names].filter((name) => name.startsWith('@opentelemetry/'))).toEqual([]);
    expect(names).toContain('undici');
  });

  /** Node's way up through node_modules. */
  function findLocked(from: string, name: string): boolean {
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      if (lock.packages[`${folder}${folder && '/'}node_modules/${name}`] !== undefined) return true;
      if (folder === '') return false;
    }
  }
});
