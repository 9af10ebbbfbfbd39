/** Pythons with a package: the one in `.venv/` of the checkout, else the machine's own. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VENV = fileURLToPath(new URL('../../.venv/', import.meta.url));

/** A Python that can import this; undefined if there is none, and what needs it is to be skipped by name. */
export function findPython(name: string): string | undefined {
  return [join(VENV, 'bin/python'), join(VENV, 'Scripts/python.exe'), 'python3', 'python'].find(
    (python) =>
      (!python.startsWith(VENV) || existsSync(python)) &&
      spawnSync(python, ['-c', `import ${name}`], { timeout: 10_000 }).status === 0,
  );
}
