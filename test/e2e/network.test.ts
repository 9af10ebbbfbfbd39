/**
 * The proxy in a corporate network: AWS is behind a forward proxy and shows a certificate of the company's own
 * authority. Names that nobody can resolve prove that nothing goes past the forward proxy.
 * @module-tag slow
 */
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'undici';
import { startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';
import { eventFrame } from '../helpers/event-frames.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';
import { startFakeWebSocketServer } from '../helpers/fake-websocket.ts';
import {
  type ForwardProxy,
  makeAuthority,
  startForwardProxy,
  startTlsFront,
  type TestAuthority,
} from '../helpers/forward-proxy.ts';
import { findClosedPort } from '../helpers/ports.ts';
import { AWS_PAIR, type Testbed, startProxy } from '../helpers/testbed.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { AWS_VARIABLES, launchServer, openWorkplace } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';
import { IS_SERVED, WS_PATH } from '../helpers/websocket-testbed.ts';

const HOST = 'bedrock.corp.invalid';
const LINE = 'POST /bedrock/model/a/converse HTTP/1.1';
const BOTH_WAYS = {
  ':method': 'POST',
  ':path': '/bedrock/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream',
  'content-type': 'application/vnd.amazon.eventstream',
};

let authority: TestAuthority;
const cleanUps: (() => PromiseLike<unknown>)[] = [];

beforeEach(async () => {
  authority = keep(await makeAuthority([HOST, 'proxy.corp.invalid']));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

function keep<T extends AsyncDisposable>(thing: T): T {
  cleanUps.push(() => thing[Symbol.asyncDispose]());
  return thing;
}

interface Corporation {
  readonly proxy: ForwardProxy;
  readonly testbed: Testbed;
}

interface CorporationOptions {
  readonly credentials?: string;
  readonly userinfo?: string;
  readonly proxySpeaksTls?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly endpointUrl?: string;
  readonly toPort?: number;
}

/** A testbed whose upstream is `https://HOST`, behind a forward proxy. */
async function openCorporation(options: CorporationOptions = {}): Promise<Corporation> {
  let upstreamPort = 0;
  const front = keep(await startTlsFront(authority.material, () => upstreamPort));
  const { credentials, proxySpeaksTls = false } = options;
  const proxy = keep(
    await startForwardProxy({
      toPort: options.toPort ?? front.port,
      ...(credentials === undefined ? {} : { credentials }),
      ...(proxySpeaksTls ? { tls: authority.material } : {}),
    }),
  );
  const url = `${proxySpeaksTls ? 'https' : 'http'}://${options.userinfo ?? ''}localhost:${proxy.port}`;
  const testbed = keep(
    await startProxy({
      flags: { endpointUrl: [options.endpointUrl ?? `https://${HOST}`] },
      environment: { HTTPS_PROXY: url, AWS_CA_BUNDLE: authority.caFile, ...options.environment },
      config: { connectTimeoutMs: 2_000 },
    }),
  );
  upstreamPort = testbed.upstream.port;
  cleanUps.push(async () => expect(testbed.upstream.failures).toEqual([]));
  return { proxy, testbed };
}

function post(testbed: Testbed, headers: readonly string[] = []) {
  return ask(testbed.port, LINE, ['Host: localhost', 'Content-Length: 2', ...headers], '{}');
}

describe('a forward proxy', () => {
  it.each([
    { name: 'over plain HTTP', options: {} },
    { name: 'over TLS', options: { proxySpeaksTls: true } },
  ])('sends every request through a forward proxy $name, in one tunnel per connection', async ({ options }) => {
    const { proxy, testbed } = await openCorporation(options);
    expect((await post(testbed)).status).toBe(200);
    expect((await post(testbed)).status).toBe(200);
    expect(proxy.targets).toEqual([`${HOST}:443`]);
    expect(proxy.strays).toEqual([]);
    const request = await testbed.upstream.nextRequest();
    expect(request.header('host')).toBe(HOST);
    expect(request.headers.filter(([name]) => /^proxy-/i.test(name))).toEqual([]);
  });

  it('sends a forward proxy user and password of its URL, and AWS neither', async () => {
    const { proxy, testbed } = await openCorporation({ credentials: 'al:p@ss%w', userinfo: 'al:p%40ss%25w@' });
    expect((await post(testbed)).status).toBe(200);
    expect(proxy.authorizations).toEqual([`Basic ${Buffer.from('al:p@ss%w').toString('base64')}`]);
    expect(JSON.stringify((await testbed.upstream.nextRequest()).headers)).not.toMatch(/proxy-auth/i);
  });

  it('passes repeated headers through a forward proxy as they are', async () => {
    const { testbed } = await openCorporation();
    expect((await post(testbed, ['X-Amz-Meta: a', 'X-Amz-Meta: b', 'Accept: x', 'Accept: y'])).status).toBe(200);
    const { headers } = await testbed.upstream.nextRequest();
    expect(headers.filter(([name]) => /^(x-amz-meta|accept)$/i.test(name)).map(([, value]) => value)).toEqual([
      'a',
      'b',
      'x',
      'y',
    ]);
  });

  it('sends http:// upstreams through tunnels as well', async () => {
    const upstream = keep(await startFakeUpstream(AWS_PAIR));
    const proxy = keep(await startForwardProxy({ toPort: upstream.port }));
    const testbed = keep(
      await startProxy({
        flags: { endpointUrl: [`http://${HOST}:8080`] },
        environment: { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` },
      }),
    );
    expect((await post(testbed)).status).toBe(200);
    expect(proxy.targets).toEqual([`${HOST}:8080`]);
    expect((await upstream.nextRequest()).header('host')).toBe(`${HOST}:8080`);
    expect(upstream.failures).toEqual([]);
  });

  it.each(['127.0.0.1', '*', 'other.invalid,127.0.0.1'])(
    'passes the forward proxy by if NO_PROXY is %s',
    async (noProxy) => {
      const upstream = keep(await startFakeUpstream(AWS_PAIR));
      const { proxy, testbed } = await openCorporation({
        endpointUrl: `http://${upstream.authority}`,
        environment: { HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: noProxy },
      });
      expect((await post(testbed)).status).toBe(200);
      expect(proxy.targets).toEqual([]);
    },
  );
});

describe('a forward proxy that fails', () => {
  it.each([
    { name: 'wants other credentials', refusal: '407 Proxy Authentication Required', hint: 'HTTPS_PROXY' },
    { name: 'forbids the host', refusal: '403 Forbidden', hint: 'NO_PROXY' },
    { name: 'does not find the host', refusal: '503 Service Unavailable', hint: 'NO_PROXY' },
  ])('answers 502 that names the forward proxy if it $name', async ({ refusal, hint }) => {
    const { proxy, testbed } = await openCorporation({ userinfo: 'alice:hunter2@' });
    proxy.refuseWith(refusal);
    const response = await post(testbed);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([502, 'ERR_UPSTREAM_UNREACHABLE']);
    const text = response.body.toString();
    expect(text).toContain(`localhost:${proxy.port} refused to connect to ${HOST}:443 (${refusal})`);
    expect(text).toContain(hint);
    expect(text).not.toContain('hunter2');
    proxy.refuseWith(undefined);
    expect((await post(testbed)).status).toBe(200);
  });

  it('answers 502 that names the forward proxy if nobody is there', async () => {
    const port = await findClosedPort();
    const { testbed } = await openCorporation({ environment: { HTTPS_PROXY: `127.0.0.1:${port}` } });
    const response = await post(testbed);
    expect(response.status).toBe(502);
    expect(response.body.toString()).toContain(`The forward proxy 127.0.0.1:${port} cannot be reached (ECONNREFUSED)`);
  });

  it('gives a silent forward proxy up after the connect timeout', async () => {
    const { proxy, testbed } = await openCorporation();
    proxy.fallSilent();
    const response = await post(testbed);
    expect(response.status).toBe(502);
    expect(response.body.toString()).toContain(`localhost:${proxy.port} cannot be reached (connect timeout)`);
  });
});

describe('AWS_CA_BUNDLE', () => {
  it('does not trust a forward proxy of the company without AWS_CA_BUNDLE, and names it', async () => {
    const { proxy, testbed } = await openCorporation({ proxySpeaksTls: true, environment: { AWS_CA_BUNDLE: '' } });
    const response = await post(testbed);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_UPSTREAM_UNTRUSTED']);
    expect(response.body.toString()).toContain(`The forward proxy localhost:${proxy.port} shows a certificate`);
  });

  it('does not trust a certificate of the company without AWS_CA_BUNDLE', async () => {
    const { testbed } = await openCorporation({ environment: { AWS_CA_BUNDLE: '' } });
    const response = await post(testbed);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_UPSTREAM_UNTRUSTED']);
    expect(response.body.toString()).toMatch(/UNABLE_TO_|SELF_SIGNED/);
    expect(response.body.toString()).toContain('AWS_CA_BUNDLE');
  });

  it('does not trust a certificate for another name in spite of AWS_CA_BUNDLE', async () => {
    const { testbed } = await openCorporation({ endpointUrl: 'https://evil.invalid' });
    const response = await post(testbed);
    expect([response.status, response.body.toString().includes('ERR_TLS_CERT_ALTNAME_INVALID')]).toEqual([502, true]);
  });
});

describe('the stream in both directions', () => {
  it('sends the stream in both directions through the tunnel too', async () => {
    const { cert, key } = authority.material;
    const upstream = keep(await startBidirectionalUpstream({ ...AWS_PAIR, tls: { cert, key } }));
    const { proxy, testbed } = await openCorporation({ toPort: upstream.port });
    await using client = openHttp2(testbed.port);
    const stream = client.open(BOTH_WAYS, { endStream: false });
    const response = readHttp2Response(stream);
    const event = eventFrame('chunk', { bytes: 'aGk=' });
    stream.end(event);
    expect(await response).toMatchObject({ status: 200, isComplete: true, body: event.toString('latin1') });
    expect(proxy.targets).toEqual([`${HOST}:443`]);
    expect(upstream.failures).toEqual([]);
  });

  it.each([true, false])(
    'trusts AWS_CA_BUNDLE in the stream in both directions without a forward proxy as well: %s',
    async (isTrusted) => {
      const { cert, key } = authority.material;
      const upstream = keep(await startBidirectionalUpstream({ ...AWS_PAIR, tls: { cert, key } }));
      const testbed = keep(
        await startProxy({
          flags: { endpointUrl: [upstream.origin] },
          environment: isTrusted ? { AWS_CA_BUNDLE: authority.caFile } : {},
        }),
      );
      await using client = openHttp2(testbed.port);
      const response = await client.ask(BOTH_WAYS, eventFrame('chunk', { bytes: 'aGk=' }));
      expect(response.status).toBe(isTrusted ? 200 : 403);
    },
  );

  it('answers a stream in both directions with a 502 that names the proxy that refuses', async () => {
    const { proxy, testbed } = await openCorporation();
    proxy.refuseWith('403 Forbidden');
    await using client = openHttp2(testbed.port);
    const response = await client.ask(BOTH_WAYS, eventFrame('chunk', { bytes: 'aGk=' }));
    expect(response.status).toBe(502);
    expect(response.body).toContain(`The forward proxy localhost:${proxy.port} refused`);
  });
});

it.runIf(IS_SERVED)('sends a WebSocket through the tunnel too', async () => {
  const aws = keep(await startFakeWebSocketServer());
  const front = keep(await startTlsFront(authority.material, () => aws.port));
  const { proxy, testbed } = await openCorporation({ toPort: front.port });
  const socket = new WebSocket(`ws://127.0.0.1:${testbed.port}/bedrock${WS_PATH}`);
  await once(socket, 'open');
  const answered = once(socket, 'message') as Promise<[MessageEvent]>;
  socket.send('hello');
  expect((await answered)[0].data).toBe('hello');
  socket.close();
  await once(socket, 'close');
  expect(proxy.targets).toEqual([`${HOST}:443`]);
  expect(aws.failures).toEqual([]);
});

describe('the program', () => {
  // OpenSSL's variable says what the system's certificate store is; macOS and Windows have stores of their own.
  const storeVariables = process.platform === 'linux' ? ['SSL_CERT_FILE'] : [];

  it.each(['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', ...storeVariables])(
    'takes HTTPS_PROXY and %s from the environment of the program',
    async (variable) => {
      const upstream = keep(await startFakeUpstream(AWS_PAIR));
      const front = keep(await startTlsFront(authority.material, () => upstream.port));
      const proxy = keep(await startForwardProxy({ toPort: front.port }));
      const place = keep(await openWorkplace());
      const server = keep(
        await launchServer([], {
          ...place.environment,
          ...AWS_VARIABLES,
          https_proxy: `http://127.0.0.1:${proxy.port}`,
          SSL_CERT_DIR: tmpdir(),
          [variable]: authority.caFile,
          BEDROCK_PROXY_ENDPOINT_URL: `https://${HOST}`,
        }),
      );
      const response = await ask(server.port, LINE, ['Host: localhost', 'Content-Length: 2'], '{}');
      expect(response.status).toBe(200);
      // Once more if the authority was missed at first.
      expect([...new Set(proxy.targets)]).toEqual([`${HOST}:443`]);
      expect(upstream.failures).toEqual([]);
    },
  );

  it.runIf(process.platform === 'linux').each([
    { name: 'beside AWS_CA_BUNDLE', hasBundle: true, proxySpeaksTls: false },
    { name: 'of a forward proxy over TLS', hasBundle: false, proxySpeaksTls: true },
    { name: 'of a forward proxy over TLS, beside AWS_CA_BUNDLE', hasBundle: true, proxySpeaksTls: true },
  ])("trusts an authority of the system's store $name", async ({ hasBundle, proxySpeaksTls }) => {
    const other = keep(await makeAuthority(['other.invalid']));
    const upstream = keep(await startFakeUpstream(AWS_PAIR));
    const front = keep(await startTlsFront(authority.material, () => upstream.port));
    const tls = proxySpeaksTls ? { tls: authority.material } : {};
    const proxy = keep(await startForwardProxy({ toPort: front.port, ...tls }));
    const server = await launchTrusting({
      HTTPS_PROXY: `${proxySpeaksTls ? 'https' : 'http'}://localhost:${proxy.port}`,
      BEDROCK_PROXY_ENDPOINT_URL: `https://${HOST}`,
      ...(hasBundle ? { AWS_CA_BUNDLE: other.caFile } : {}),
    });
    const response = await ask(server.port, LINE, ['Host: localhost', 'Content-Length: 2'], '{}');
    expect([response.status, upstream.failures]).toEqual([200, []]);
  });

  it.runIf(process.platform === 'linux').each([false, true])(
    "trusts the system's store in the stream in both directions too, beside AWS_CA_BUNDLE: %s",
    async (hasBundle) => {
      const other = keep(await makeAuthority(['other.invalid']));
      const { cert, key } = authority.material;
      const upstream = keep(await startBidirectionalUpstream({ ...AWS_PAIR, tls: { cert, key } }));
      const server = await launchTrusting({
        BEDROCK_PROXY_ENDPOINT_URL: upstream.origin,
        ...(hasBundle ? { AWS_CA_BUNDLE: other.caFile } : {}),
      });
      await using client = openHttp2(server.port);
      const event = eventFrame('chunk', { bytes: 'aGk=' });
      const response = await client.ask(BOTH_WAYS, event);
      expect(response).toMatchObject({ status: 200, isComplete: true, body: event.toString('latin1') });
      expect(upstream.failures).toEqual([]);
    },
  );
});

/** The program, in an environment whose certificate store has the authority and no other. */
async function launchTrusting(environment: Readonly<Record<string, string>>) {
  const place = keep(await openWorkplace());
  const store = { SSL_CERT_FILE: authority.caFile, SSL_CERT_DIR: tmpdir() };
  return keep(await launchServer([], { ...place.environment, ...AWS_VARIABLES, ...store, ...environment }));
}
