/**
 * The program as a process: how it starts, ends, is killed, and goes on when its log's reader has left.
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FakeUpstream } from '../helpers/fake-upstream.ts';
import { startEventStream } from '../helpers/event-frames.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { findClosedPort } from '../helpers/ports.ts';
import { launch, launchServer, openProgramTest, run } from '../helpers/program.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';

let upstream: FakeUpstream;
let environment: Readonly<Record<string, string>>;

beforeEach(async () => {
  ({ upstream, environment } = await openProgramTest());
});

const LINE = 'POST /bedrock/model/a/converse-stream HTTP/1.1';
const POST_HTTP2 = { ':method': 'POST', ':path': '/bedrock/model/a/converse-stream' };

function post(port: number, headers: readonly string[] = []): Promise<RawResponse> {
  return ask(port, LINE, ['Host: localhost', ...headers]);
}

/** A response that has begun and waits for the test to end it. */
function nextStream(): Promise<{ end(): void }> {
  return new Promise((resolve) => {
    upstream.respondWith((_, response) => {
      startEventStream(response);
      response.write('begun;');
      resolve({ end: () => void response.end('ended;') });
    });
  });
}

describe('the start', () => {
  it('says where it listens within half a second, or what that is on a machine that is busy', async () => {
    // On a machine at rest an empty Node takes about this long.
    const restMs = 50;
    let isInTime = false;
    for (let attempt = 0; attempt < 5 && !isInTime; attempt += 1) {
      let startedAt = performance.now();
      await once(spawn(process.execPath, ['-e', '']), 'exit');
      const busyness = Math.max(1, (performance.now() - startedAt) / restMs);
      startedAt = performance.now();
      await using server = await launchServer([], environment);
      isInTime = performance.now() - startedAt < 500 * busyness;
      expect((await post(server.port)).status).toBe(200);
    }
    expect(isInTime).toBe(true);
  });

  it('finds its keys again after kill -9', async () => {
    const { stdout } = await run(['key', 'generate', '--quiet'], environment);
    const header = `Authorization: Bearer ${stdout.trim()}`;
    const killed = await launchServer([], environment);
    expect((await post(killed.port, [header])).status).toBe(200);
    killed.child.kill('SIGKILL');
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' });
    await using server = await launchServer([], environment);
    expect((await post(server.port, [header])).status).toBe(200);
    expect((await post(server.port)).status).toBe(401);
  });

  it('starts without AWS credentials and serves as soon as there are some', async () => {
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...bare } = environment;
    await using server = await launchServer([], bare);
    const refused = await post(server.port);
    expect(refused.status).toBe(403);
    expect(refused.header('x-bedrock-proxy-error')).toBe('ERR_NO_AWS_CREDENTIALS');
    const { accessKeyId, secretAccessKey } = AWS_PAIR;
    const file = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    await writeFile(bare['AWS_SHARED_CREDENTIALS_FILE'] ?? '', file);
    let status = 403;
    // The chain is asked again after a pause of a second.
    while (status === 403) ({ status } = await post(server.port));
    expect(status).toBe(200);
  });
});

describe('the end', () => {
  it('ends by SIGTERM after what runs, over both HTTP versions, with 0', async () => {
    await using server = await launchServer([], environment);
    const streams = [nextStream()];
    await using raw = await dial(server.port);
    await raw.send(requestText(LINE, ['Host: localhost']));
    await raw.until('begun;');
    streams.push(nextStream());
    await using client = openHttp2(server.port);
    const stream = client.open(POST_HTTP2);
    const response = readHttp2Response(stream);
    await new Promise((resolve) => stream.once('data', resolve));
    await using idle = await dial(server.port);
    await idle.send(requestText('GET /health HTTP/1.1', ['Host: localhost']));
    await idle.readResponse();
    server.child.kill('SIGTERM');
    await server.untilStderr('Ending');
    // What does nothing is closed at once, and nobody new gets in.
    await idle.ended;
    await expect(post(server.port)).rejects.toThrow();
    for (const begun of streams) (await begun).end();
    expect((await raw.readResponse()).body.toString()).toBe('begun;ended;');
    expect(await response).toMatchObject({ isComplete: true, body: 'begun;ended;' });
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('is not ready, and takes requests, until load balancers had time to notice', async () => {
    await using server = await launchServer(['--shutdown-delay', '2'], environment);
    server.child.kill('SIGTERM');
    await server.untilStderr('Ending: not ready any more; requests are taken for another 2 s.');
    const ready = await ask(server.port, 'GET /health/readiness HTTP/1.1', ['Host: localhost']);
    expect([ready.status, JSON.parse(ready.body.toString())]).toMatchObject([503, { status: 'shutting down' }]);
    expect((await ask(server.port, 'GET /health/liveliness HTTP/1.1', ['Host: localhost'])).status).toBe(200);
    expect((await post(server.port)).status).toBe(200);
    expect(await server.ended).toMatchObject({ code: 0 });
    await expect(post(server.port)).rejects.toThrow();
  });

  it('ends at once by a second signal meanwhile', async () => {
    await using server = await launchServer(['--shutdown-delay', '3600'], environment);
    server.child.kill('SIGTERM');
    await server.untilStderr('Ending');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 143 });
  });

  it('writes at its end the refused requests that have a row together', async () => {
    const options = ['--alias', 'alice', '--models', 'other.*', '--quiet'];
    const key = (await run(['key', 'generate', ...options], environment)).stdout.trim();
    await using server = await launchServer([], environment);
    for (let turn = 0; turn < 12; turn += 1) {
      expect((await post(server.port, [`Authorization: Bearer ${key}`])).status).toBe(403);
    }
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    const { stdout } = await run(['logs', '--json'], environment);
    const counts = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { requests: number }).requests);
    expect(counts.toSorted()).toEqual([1, 1, 1, 1, 1, 7]);
  });

  it('cuts off what still runs after the grace time, and says so', async () => {
    await using server = await launchServer(['--shutdown-grace', '0'], environment);
    void nextStream();
    await using raw = await dial(server.port);
    await raw.send(requestText(LINE, ['Host: localhost']));
    await raw.until('begun;');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('1 request was cut off') });
    expect(raw.received).not.toContain('\r\n0\r\n');
    expect(await (await upstream.nextRequest()).closed).toBe('broken');
  });
});

describe('while it runs', () => {
  it('goes on though the reader of its log has left', async () => {
    await using server = await launchServer([], environment);
    await post(server.port);
    await server.untilStdout('200');
    server.child.stdout.destroy();
    for (let turn = 0; turn < 5; turn += 1) expect((await post(server.port)).status).toBe(200);
    server.child.stderr.destroy();
    expect((await post(server.port)).status).toBe(200);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('refuses a key revoked by `key revoke` on the very next request of an open connection', async () => {
    const key = (await run(['key', 'generate', '--alias', 'alice', '--quiet'], environment)).stdout.trim();
    await using server = await launchServer([], environment);
    await using raw = await dial(server.port);
    const request = requestText(LINE, ['Host: localhost', `Authorization: Bearer ${key}`]);
    await raw.send(request);
    expect((await raw.readResponse()).status).toBe(200);
    expect(await run(['key', 'revoke', 'alice'], environment)).toMatchObject({ code: 0 });
    await raw.send(request);
    expect((await raw.readResponse()).header('x-bedrock-proxy-error')).toBe('ERR_KEY_REVOKED');
    server.child.kill('SIGTERM');
    const { stdout, stderr } = await server.ended;
    expect(stdout + stderr).not.toContain(key);
    expect(stdout + stderr).not.toContain(AWS_PAIR.secretAccessKey);
  });

  it("ignores AWS's own variables for endpoints", async () => {
    const { BEDROCK_PROXY_ENDPOINT_URL: url = '', ...bare } = environment;
    const led = { AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url, AWS_ENDPOINT_URL_BEDROCK: url };
    await using server = await launchServer([], { ...bare, ...led });
    // A region whose host nobody has: the request must fail to find it.
    const response = await post(server.port, ['X-Bedrock-Proxy-Region: us-east-99']);
    expect(response.status).toBe(502);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_UNREACHABLE');
    expect(upstream.connectionCount).toBe(0);
  });

  it('refuses an upstream that is itself', async () => {
    const port = await findClosedPort();
    const own = { ...environment, BEDROCK_PROXY_ENDPOINT_URL: `http://127.0.0.1:${port}/bedrock` };
    await using server = launch(['start', '--port', String(port), '--log-format', 'json'], own);
    await server.untilStderr('boto3.client');
    const response = await post(port);
    expect(response.status).toBe(400);
    // It is the upstream's response, whose claims about the proxy do not pass.
    expect(response.header('x-bedrock-proxy-error')).toBeUndefined();
    expect(response.body.toString()).toContain('--endpoint-url');
    server.child.kill('SIGTERM');
    expect((await server.ended).stdout.trim().split('\n')).toHaveLength(2);
  });
});
