/** The transcript everybody tries first: curl, with any bearer token, against a proxy that has no keys yet. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;
const hasHttp2 = hasCurl && spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout.includes('HTTP2');
const run = promisify(execFile);

const { it, testbed } = proxyTest();

const QUESTION = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}';

/** curl without its own settings, quiet, with its response's head. */
async function curl(...args: string[]): Promise<string> {
  const { stdout } = await run('curl', ['-q', '-sS', '--noproxy', '*', '--max-time', '15', ...args]);
  return stdout;
}

describe.skipIf(!hasCurl)('curl (skipped where it is not installed)', () => {
  it('serves curl with Authorization: Bearer anything', async () => {
    const url = `http://localhost:${testbed.port}/bedrock/model/amazon.nova-lite-v1:0/converse`;
    const json = ['-H', 'Content-Type: application/json', '-d', QUESTION];
    const response = await curl('-4', url, '-H', 'Authorization: Bearer anything', ...json);
    expect(JSON.parse(response)).toMatchObject({
      target: '/model/amazon.nova-lite-v1:0/converse',
      bodyBytes: QUESTION.length,
    });
    expect((await testbed.upstream.nextRequest()).body.toString()).toBe(QUESTION);
  });

  it.skipIf(!hasHttp2)('serves curl over HTTP/2 with prior knowledge', async () => {
    const response = await curl('--http2-prior-knowledge', `${testbed.url}/model/a/converse`, '-d', QUESTION, '-i');
    expect(response).toMatch(/^HTTP\/2 200/);
  });

  it.skipIf(!hasHttp2)('serves curl over HTTP/1.1 if it asks for an upgrade to h2c', async () => {
    const response = await curl('--http2', `${testbed.url}/model/a/converse`, '-d', QUESTION, '-i');
    expect(response).toMatch(/^HTTP\/1\.1 200/);
    expect((await testbed.upstream.nextRequest()).header('http2-settings')).toBeUndefined();
  });

  it('makes curl wait for 100 Continue with a large body, and takes the whole body', async () => {
    const body = 'a'.repeat(2_000_000);
    const child = run('curl', [
      '-q',
      '-sS',
      '--max-time',
      '15',
      `${testbed.url}/model/a/invoke`,
      '-H',
      'Expect: 100-continue',
      '--data-binary',
      '@-',
    ]);
    child.child.stdin?.end(body);
    expect(JSON.parse((await child).stdout)).toMatchObject({ bodyBytes: body.length });
  });

  it('sends curl the bytes of AWS though it asks for compression', async () => {
    const response = await curl('--compressed', `${testbed.url}/model/a/converse`, '-d', QUESTION);
    expect(JSON.parse(response)).toMatchObject({ bodyBytes: QUESTION.length });
  });

  it('ends a stream at AWS if curl is interrupted', async () => {
    testbed.upstream.respondWith((_, response) => startEventStream(response));
    const child = run('curl', ['-q', '-sSN', `${testbed.url}/model/a/converse-stream`, '-d', QUESTION]);
    const failed = child.catch((error: unknown) => error);
    const request = await testbed.upstream.nextRequest();
    child.child.kill('SIGINT');
    expect(await request.closed).toBe('broken');
    expect(await failed).toMatchObject({ signal: 'SIGINT' });
  });

  it('reaches Bedrock at the root, and says where it is if curl asks at the wrong place', async () => {
    const root = `http://127.0.0.1:${testbed.port}`;
    expect(await curl(`${root}/model/a/converse`, '-d', QUESTION)).toContain('"target":"/model/a/converse"');
    expect(await curl(`${root}/modell/a/converse`, '-d', QUESTION)).toContain('/bedrock');
  });
});
