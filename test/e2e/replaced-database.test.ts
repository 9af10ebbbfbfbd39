/**
 * A database that is replaced, restored or robbed of its log under the running program: what its owner reads on stderr,
 * what clients get, and what is on the disk afterwards.
 * @module-tag slow
 */
import { copyFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { sendJson } from '../helpers/fake-upstream.ts';
import { launchServer, openProgramTest, type ProgramTest, run, type RunningServer } from '../helpers/program.ts';

const RESPONSE = { usage: { inputTokens: 5, outputTokens: 10, totalTokens: 15 } };

interface Scene {
  readonly place: ProgramTest;
  readonly server: RunningServer;
  readonly key: string;
  readonly cli: (
    ...args: string[]
  ) => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  readonly ask: (shown: string) => Promise<{ readonly status: number; readonly body: string }>;
}

async function openScene(): Promise<Scene> {
  const place = await openProgramTest();
  place.upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
  const cli = (...args: string[]) => run(args, place.environment);
  const key = (await cli('key', 'generate', '--quiet', '--alias', 'first')).stdout.trim();
  const server = await launchServer([], place.environment);
  onTestFinished(() => server[Symbol.asyncDispose]());
  const ask = async (shown: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}/bedrock/model/amazon.nova-lite-v1:0/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${shown}` },
      body: '{"messages":[],"inferenceConfig":{"maxTokens":20}}',
    });
    return { status: response.status, body: await response.text() };
  };
  for (let count = 0; count < 50; count += 1) expect((await ask(key)).status).toBe(200);
  return { place, server, key, cli, ask };
}

async function endAndRead(server: RunningServer): Promise<string[]> {
  server.child.kill('SIGTERM');
  const { code, stderr } = await server.ended;
  expect(code).toBe(0);
  return stderr.split('\n').filter((line) => /^(error|hint):/.test(line));
}

it('goes on with a backup that is moved in its place, and says so', async () => {
  const { place, server, key, cli, ask } = await openScene();
  const backup = join(place.folder, 'backup.db');
  expect((await cli('db', 'backup', backup)).code).toBe(0);
  const later = (await cli('key', 'generate', '--quiet')).stdout.trim();
  expect((await ask(later)).status).toBe(200);
  // While the proxy runs, only this is refused.
  const refused = await cli('db', 'restore', backup);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('The key database is in use.')]);
  await rename(backup, place.databasePath);
  await server.untilStderr('was replaced while it was in use');
  await expect.poll(async () => (await ask(later)).status).toBe(401);
  for (let count = 0; count < 20; count += 1) expect((await ask(key)).status).toBe(200);
  expect((await cli('key', 'list', '--json')).stdout).toContain('"first"');
  expect((await cli('db', 'check')).stdout).toContain('All is well.');
  const complaints = await endAndRead(server);
  expect(complaints).toHaveLength(2);
  expect(complaints[0]).toContain('error: The key database was replaced while it was in use.');
  expect(complaints[1]).toContain('db restore');
  expect((await cli('db', 'check')).stdout).toContain('All is well.');
});

it('serves nobody without its write-ahead log, and keeps a revocation that was made meanwhile', async () => {
  const { place, server, key, cli, ask } = await openScene();
  await copyFile(place.databasePath, join(place.folder, 'before.db'));
  for (const end of ['-wal', '-shm']) await rm(`${place.databasePath}${end}`);
  await server.untilStderr('has lost its write-ahead log');
  const { status, body } = await ask(key);
  expect(status).toBe(503);
  expect(body).toContain('start again');
  const health = await fetch(`http://127.0.0.1:${server.port}/health/readiness`);
  expect([health.status, await health.json()]).toMatchObject([503, { status: 'unhealthy', db: 'unavailable' }]);
  const before = (await cli('db', 'check', '--json')).stdout;
  expect(JSON.parse(before)).toMatchObject({ ok: true });
  const other = (await cli('key', 'generate', '--quiet', '--alias', 'other')).stdout.trim();
  const complaints = await endAndRead(server);
  expect(complaints.filter((line) => line.includes('write-ahead log'))).toHaveLength(1);
  const keys = (await cli('key', 'list', '--json')).stdout;
  expect(keys).toContain('"other"');
  expect(other).toMatch(/^sk-/);
  expect(JSON.parse((await cli('db', 'check', '--json')).stdout)).toMatchObject({ ok: true });
});
