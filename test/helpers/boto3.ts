/**
 * boto3 in a Python process of its own, which runs the cases of `test/e2e/boto3_client.py`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findPython } from './python.ts';

const SCRIPT = fileURLToPath(new URL('../e2e/boto3_client.py', import.meta.url));
/** A Python that has boto3; undefined where there is none. */
export const PYTHON_WITH_BOTO3 = findPython('boto3');

export interface Boto3 extends AsyncDisposable {
  /** Runs one case of the script, with a key as it takes it, and gives what it says: `result`, or what was raised. */
  run(name: string, url: string, key: string): Promise<unknown>;
}

/** Starts it, in an environment that knows nothing of the machine's AWS settings. One case at a time. */
export async function startBoto3(python: string): Promise<Boto3> {
  const home = await mkdtemp(join(tmpdir(), 'boto3-'));
  const child = spawn(python, [SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      AWS_CONFIG_FILE: join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      AWS_EC2_METADATA_DISABLED: 'true',
      PYTHONDONTWRITEBYTECODE: '1',
    },
  });
  const ended = once(child, 'close');
  const responses = createInterface(child.stdout);
  return {
    run: (name, url, key) => {
      const response = new Promise((resolve, reject) => {
        responses.once('line', (line) => resolve(JSON.parse(line)));
        ended.then(() => reject(new Error('Python has ended')), reject);
      });
      child.stdin.write(`${JSON.stringify({ case: name, url, key })}\n`);
      return response;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await ended;
      await rm(home, { recursive: true, force: true });
    },
  };
}
