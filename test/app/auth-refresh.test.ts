import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createAuthRefresh } from '../../src/app/auth-refresh.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

let folder: string;
let nowMs: number;
let said: string;
const tickMs = monotonicClock(() => nowMs);

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  nowMs = 0;
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  return () => void vi.restoreAllMocks();
});

const node = (script: string): string => `"${process.execPath}" -e "${script}"`;
const runs = (): number => readFileSync(join(folder, 'runs'), 'utf8').length;
const counting = (script: string): string => {
  appendFileSync(join(folder, 'runs'), '');
  const file = JSON.stringify(join(folder, 'runs')).replaceAll('"', `'`);
  return node(`require('fs').appendFileSync(${file}, '.');${script}`);
};

describe('the command of --aws-auth-refresh', () => {
  it('runs once for all who ask meanwhile, and says so', async () => {
    const refresh = createAuthRefresh({ command: counting(''), tickMs });
    expect(await Promise.all([refresh(), refresh(), refresh()])).toEqual([undefined, undefined, undefined]);
    expect(runs()).toBe(1);
    expect(said).toMatch(/^AWS credentials have expired or are missing: running `.*`, for 180 s at most\.\n/);
    expect(said).toContain('The command of --aws-auth-refresh ended with exit code 0 after 0 s.\n');
  });

  it('tells its exit code, and runs again after a pause alone', async () => {
    const refresh = createAuthRefresh({ command: counting('process.exit(7)'), tickMs });
    expect(await refresh()).toMatch(/ended with exit code 7\. A request after 60 s runs it again\.$/);
    nowMs = 59_000;
    expect(await refresh()).toMatch(/ended with exit code 7\. A request after 1 s runs it again\.$/);
    expect(runs()).toBe(1);
    nowMs = 60_000;
    await refresh();
    expect(runs()).toBe(2);
    expect(said).toContain('warning: The command of --aws-auth-refresh ended with exit code 7');
  });

  it('is ended with all that it started if it takes too long', async () => {
    const late = join(folder, 'late');
    const command = `sleep 1 && touch ${late}`;
    const refresh = createAuthRefresh({ command, tickMs, timeoutMs: 100 });
    expect(await refresh()).toContain('was ended because it took longer than 0.1 s');
    await delay(1_200);
    expect(existsSync(late)).toBe(false);
  });

  it('gets no master key and no salt', async () => {
    const names = ['BEDROCK_PROXY_MASTER_KEY', 'LITELLM_MASTER_KEY', 'BEDROCK_PROXY_SALT_KEY'];
    for (const name of names) vi.stubEnv(name, 'a secret of the proxy');
    const script = `process.exit(Object.values(process.env).includes('a secret of the proxy') ? 9 : 0)`;
    expect(await createAuthRefresh({ command: node(script), tickMs })()).toBeUndefined();
    vi.unstubAllEnvs();
  });

  it('says that a command which is not there ended with the exit code of the shell', async () => {
    const refresh = createAuthRefresh({ command: 'no-such-command-here 2>/dev/null', tickMs });
    expect(await refresh()).toContain('ended with exit code 127');
  });
});
