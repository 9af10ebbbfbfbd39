/**
 * Installs other gateways into a cache folder of the user, with the ordinary clients of their registries: none is a
 * dependency of the project.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findNpm } from '../scripts/npm.mjs';

/** What is installed: its version, and the Node script or the program that starts it. */
export interface InstalledPeer {
  readonly version: string;
  readonly path: string;
}

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 600_000;
const IS_WINDOWS = process.platform === 'win32';

function cacheFolder(): string {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env;
  const home = IS_WINDOWS ? (LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local')) : join(homedir(), '.cache');
  const caches = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : (XDG_CACHE_HOME ?? home);
  return join(caches, 'bedrock-proxy-bench');
}

/** `requirement` as pip takes it; `module` is its name without extras. Rejects if it cannot be installed. */
export async function installFromPyPi(module: string, requirement: string): Promise<InstalledPeer> {
  const folder = join(cacheFolder(), module);
  const programs = join(folder, IS_WINDOWS ? 'Scripts' : 'bin');
  const python = join(programs, IS_WINDOWS ? 'python.exe' : 'python');
  const path = join(programs, IS_WINDOWS ? `${module}.exe` : module);
  if (!existsSync(path)) {
    await mkdir(folder, { recursive: true });
    await run(await findPython(), ['-m', 'venv', folder], { timeout: INSTALL_TIMEOUT_MS });
  }
  // Each time: the cache may be of a day on which another version was wanted. It asks the registry only if it must.
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement];
  await run(python, install, { timeout: INSTALL_TIMEOUT_MS });
  const { stdout } = await run(python, ['-c', `import importlib.metadata as m; print(m.version('${module}'))`]);
  return { version: stdout.trim(), path };
}

async function findPython(): Promise<string> {
  for (const name of ['python3', 'python', 'py']) {
    const found = await run(name, ['--version']).then(
      () => true,
      () => false,
    );
    if (found) return name;
  }
  throw new Error('there is no Python on the PATH');
}

/** `script` is the file that starts it, within the package. Rejects if it cannot be installed. */
export async function installFromNpm(name: string, script: string): Promise<InstalledPeer> {
  const folder = join(cacheFolder(), name.replaceAll(/\W+/g, '-'));
  const home = join(folder, 'node_modules', name);
  const path = join(home, script);
  if (!existsSync(path)) {
    await mkdir(folder, { recursive: true });
    const { command, args, shell } = findNpm(process.env, process.execPath);
    const install = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', name];
    await run(command, [...args, ...install], { shell, timeout: INSTALL_TIMEOUT_MS });
  }
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
  return { version, path };
}
