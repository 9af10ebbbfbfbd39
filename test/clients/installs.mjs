// What the clients need, installed into .clients/ of the checkout by the ordinary package clients and kept between runs: a
// folder per toolchain, stamped with what it was made from. Pinned versions only. An install that fails or takes too long
// is a reason to skip the clients that want it, never a hang.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cleanEnvironment, runQuietly } from '../../scripts/children.mjs';
import { runNpmCi } from '../../scripts/npm.mjs';
import { createTurnstile } from './run-row.mjs';

const AT_ONCE = 2;
const MINUTE_MS = 60_000;

const pip = (requirements, ...rest) => ({
  sources: [`python/${requirements}`],
  probe: ['python3', '--version'],
  limitMs: 4 * MINUTE_MS,
  steps: ({ folder, source }) => [
    ['python3', '-m', 'venv', folder],
    [
      join(folder, 'bin', 'python'),
      ...['-m', 'pip', 'install', '--no-input', '--no-deps', '--disable-pip-version-check', '-r', source(requirements)],
    ],
    ...rest.map((makeStep) => makeStep({ folder, source })),
  ],
  folder: 'python',
});

/**
 * By name: the files it is made of (its stamp; read from `folder` of this one), a command that tells the tool's version,
 * the steps of the install, each a command line, and how long all of them may take.
 */
const TOOLCHAINS = {
  python: pip('requirements.txt'),
  'python-older': pip('requirements-older.txt'),
  'aws-cli-2': pip('requirements-aws-cli-2.txt', ({ folder, source }) => [
    join(folder, 'bin', 'python'),
    source('unpack_aws_cli.py'),
    join(folder, 'cli'),
  ]),
  javascript: {
    folder: 'javascript',
    sources: ['javascript/package.json', 'javascript/package-lock.json'],
    probe: [process.execPath, '--version'],
    limitMs: 5 * MINUTE_MS,
    steps: () => ['npm ci'],
  },
  go: {
    folder: 'go',
    sources: ['go/go.mod', 'go/go.sum', 'go/main.go'],
    probe: ['go', 'version'],
    limitMs: 6 * MINUTE_MS,
    steps: ({ folder, clients }) => [
      ['go', 'build', '-C', join(clients, 'go'), '-trimpath', '-o', join(folder, 'clients'), '.'],
    ],
    environment: (folder) => ({
      GOMODCACHE: join(folder, 'modules'),
      GOCACHE: join(folder, 'cache'),
      GOFLAGS: '-modcacherw -mod=readonly -buildvcs=false',
      GOTOOLCHAIN: 'local',
    }),
  },
  java: {
    folder: 'java',
    sources: ['java/pom.xml', 'java/Clients.java'],
    probe: ['mvn', '--version'],
    limitMs: 5 * MINUTE_MS,
    steps: ({ folder, source }) => [
      [
        ...['mvn', '-q', '-B', '-f', source('pom.xml'), `-Dmaven.repo.local=${join(folder, 'repository')}`],
        ...['-Dmaven.wagon.http.retryHandler.count=1', `-DoutputDirectory=${join(folder, 'lib')}`],
        'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
      ],
      [
        ...['javac', '-encoding', 'UTF-8', '-cp', join(folder, 'lib', '*'), '-d', join(folder, 'classes')],
        source('Clients.java'),
      ],
    ],
  },
};

/** Kept when the sources change: fetched again in a moment, but not for nothing. */
const KEPT = ['modules', 'cache', 'repository'];

/**
 * Makes the function that installs a toolchain, once, and gives its folder, or the problem in a few words. A few install at
 * a time.
 */
export function createInstaller({ root, signal, say }) {
  const clients = join(root, 'test', 'clients');
  const enter = createTurnstile(AT_ONCE);
  const installs = new Map();
  return (name) => {
    const known = installs.get(name);
    if (known !== undefined) return known;
    const made = enter(() => install(name, { root, clients, signal, say }));
    installs.set(name, made);
    return made;
  };
}

async function install(name, { root, clients, signal, say }) {
  const toolchain = TOOLCHAINS[name];
  const folder = join(root, '.clients', name);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(toolchain.limitMs)]);
  const env = { ...cleanEnvironment(process.env, process.execPath), ...toolchain.environment?.(folder) };
  const run = ([command, ...args]) => runQuietly({ command, args, cwd: root, env, signal: limited });
  try {
    const probe = await run(toolchain.probe);
    if (probe.code !== 0) return { problem: `${toolchain.probe[0]} is not on this machine` };
    const stamp = stampOf(toolchain, clients, probe.output);
    if (readIfThere(join(folder, '.installed')) !== stamp) {
      const startedAt = performance.now();
      say(`installing ${name} into .clients/${name}`);
      clear(folder);
      const problem = await runSteps(toolchain, { root, clients, folder, run, signal: limited, name });
      if (problem !== undefined) return { problem };
      writeFileSync(join(folder, '.installed'), stamp);
      say(`installed ${name} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    }
    if (name === 'javascript') copyPrograms(join(clients, 'javascript'), folder);
    return { folder };
  } catch (error) {
    if (!limited.aborted) throw error;
    return { problem: `installing ${name} took longer than ${toolchain.limitMs / MINUTE_MS} minutes` };
  }
}

/** Gives what went wrong, in a few words; all of it is in .clients/NAME.log. */
async function runSteps(toolchain, { root, clients, folder, run, signal, name }) {
  const source = (file) => join(clients, toolchain.folder, file);
  for (const step of toolchain.steps({ folder, source, clients })) {
    if (step === 'npm ci') {
      for (const file of toolchain.sources) copyFileSync(join(clients, file), join(folder, file.split('/').at(-1)));
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
function copyPrograms(from, to) {
  for (const file of readdirSync(from)) {
    if (file.endsWith('.mjs')) copyFileSync(join(from, file), join(to, file));
  }
}

function clear(folder) {
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder)) {
    if (!KEPT.includes(entry)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

function stampOf({ sources }, clients, version) {
  const hash = createHash('sha256').update(version);
  for (const file of sources) hash.update(readFileSync(join(clients, file)));
  return hash.digest('hex');
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
