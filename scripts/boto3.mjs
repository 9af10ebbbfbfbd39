// boto3 for the tests that run it: a virtual environment in .venv/ of the checkout, where this machine's Python can
// make one. Never fails: without Python or the network those tests are skipped by name.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const BOTO3 = 'boto3==1.44.5';
/** A registry that does not answer must not hold up the tests. */
const TIME_LIMIT_MS = 120_000;

/**
 * Sees to it that `.venv/` has boto3, if it can. Says why where it cannot.
 *
 * @param {string} root
 * @param {(line: string) => void} say
 */
export function prepareBoto3(root, say) {
  const folder = join(root, '.venv');
  const python = join(folder, ...(process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']));
  if (existsSync(python) && succeeds(python, ['-c', 'import boto3'])) return;
  const base = ['python3', 'python'].find((name) => succeeds(name, ['-c', 'import venv, ensurepip']));
  if (base === undefined) return say('no Python that can make a virtual environment: the tests with boto3 are skipped');
  say(`installing ${BOTO3} into .venv for the tests that run it`);
  const isReady =
    succeeds(base, ['-m', 'venv', folder]) && succeeds(python, ['-m', 'pip', 'install', '--quiet', BOTO3]);
  if (!isReady) say('boto3 could not be installed: the tests with it are skipped');
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore', timeout: TIME_LIMIT_MS }).status === 0;
}
