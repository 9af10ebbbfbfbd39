/**
 * `--aws-auth-refresh`: the requests that need a login wait for the command, which runs once, and for nobody without a
 * key.
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ProgramTest, launchServer, openProgramTest, run } from '../helpers/program.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';

let place: ProgramTest;
let environment: Readonly<Record<string, string>>;
let counter: string;

beforeEach(async () => {
  place = await openProgramTest();
  const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...bare } = place.environment;
  counter = join(place.folder, 'runs');
  const script = join(place.folder, 'login.cjs');
  const { accessKeyId, secretAccessKey } = AWS_PAIR;
  const file = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  await writeFile(
    script,
    `const { appendFileSync, writeFileSync } = require('node:fs');
     appendFileSync(${JSON.stringify(counter)}, '.');
     console.log('open your browser');
     if (process.argv[2] === 'fail') process.exit(7);
     setTimeout(() => writeFileSync(process.env.AWS_SHARED_CREDENTIALS_FILE, ${JSON.stringify(file)}), 300);`,
  );
  environment = { ...bare, BEDROCK_PROXY_AWS_AUTH_REFRESH: `"${process.execPath}" "${script}"` };
});

const runs = (): number => (existsSync(counter) ? readFileSync(counter, 'utf8').length : 0);

function post(port: number, headers: readonly string[] = []): Promise<RawResponse> {
  return ask(port, 'POST /bedrock/model/a/converse HTTP/1.1', ['Host: localhost', ...headers]);
}

describe('a login that has expired', () => {
  it.each([{ workers: '1' }, { workers: '3' }])('is renewed once for all requests: $workers', async ({ workers }) => {
    await using server = await launchServer(['--workers', workers], environment);
    expect(runs()).toBe(0);
    const responses = await Promise.all(Array.from({ length: 9 }, () => post(server.port)));
    expect(responses.map(({ status }) => status)).toEqual(Array(9).fill(200));
    expect(runs()).toBe(1);
    const talk = await server.untilStderr('ended with exit code 0');
    expect(talk).toContain('open your browser');
    server.child.kill('SIGTERM');
    expect((await server.ended).stdout).not.toContain('browser');
  });

  it('is not renewed for a request without a key that counts', async () => {
    const key = (await run(['key', 'generate', '--models', 'b', '--quiet'], environment)).stdout.trim();
    await using server = await launchServer([], environment);
    expect((await post(server.port)).status).toBe(401);
    expect((await post(server.port, ['Authorization: Bearer sk-not-a-key'])).status).toBe(401);
    expect((await post(server.port, [`Authorization: Bearer ${key}`])).status).toBe(403);
    expect(runs()).toBe(0);
  });

  it('tells clients how the command ended, but not what it is', async () => {
    const command = `${environment['BEDROCK_PROXY_AWS_AUTH_REFRESH']} fail`;
    await using server = await launchServer(['--aws-auth-refresh', command], environment);
    const [first, second] = [await post(server.port), await post(server.port)];
    for (const { status, body } of [first, second]) {
      expect(status).toBe(403);
      expect(body.toString()).toContain('ended with exit code 7. A request after');
      expect(body.toString()).not.toContain('login.cjs');
    }
    expect(runs()).toBe(1);
  });
});
