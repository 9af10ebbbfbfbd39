import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMetricsEndpoint } from '../../src/admin/metrics.ts';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import type { ClientRequest } from '../../src/http/message.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { startServer } from '../../src/server/server.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

const MASTER_KEY = 'sk-master-0123456789';
const ELSEWHERE = '203.0.113.7';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

interface Testbed {
  readonly url: string;
}

interface ServerDependencies {
  readonly masterKey: string | undefined;
  /** Where requests seem to come from; undefined: where they do come from. */
  readonly peerAddress?: string | undefined;
}

/** A server with metrics of one request. */
async function open(dependencies: Partial<ServerDependencies> = {}): Promise<Testbed> {
  const { masterKey, peerAddress }: ServerDependencies = { masterKey: MASTER_KEY, ...dependencies };
  const metrics = createMetrics();
  metrics.ended(aFinishedRecord());
  const handle = createMetricsEndpoint({ metrics, masterKey, failures: createFailureLimit(MACHINE_TICKS) });
  const server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [
      {
        prefix: '/metrics',
        handle: (clientRequest, clientResponse) => handle(comingFrom(clientRequest, peerAddress), clientResponse),
      },
    ],
    onRefused: () => {},
  });
  onTestFinished(async () => void (await server.drain(0)));
  return { url: `http://127.0.0.1:${server.port}/metrics` };
}

function comingFrom(clientRequest: ClientRequest, peerAddress: string | undefined): ClientRequest {
  return peerAddress === undefined ? clientRequest : { ...clientRequest, peerAddress };
}

describe('GET /metrics', () => {
  it('shows all metrics to this machine, without a key', async () => {
    const { url } = await open();
    const response = await fetch(url);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toContain('bedrock_proxy_requests_total{service="bedrock-runtime"');
  });

  it('shows metrics under a path with a query as well', async () => {
    const { url } = await open();
    expect((await fetch(`${url}?collect[]=x`)).status).toBe(200);
  });

  it('answers HEAD of metrics with the head alone', async () => {
    const { url } = await open();
    const response = await fetch(url, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(500);
  });

  it.each(['POST', 'PUT', 'DELETE'])('refuses %s for metrics', async (method) => {
    const { url } = await open();
    const response = await fetch(url, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(await response.json()).toEqual({ error: '/metrics wants GET.', code: 'ERR_BAD_REQUEST' });
  });

  it('has nothing below /metrics', async () => {
    const { url } = await open();
    const response = await fetch(`${url}/keys`);
    expect([response.status, await response.json()]).toMatchObject([404, { code: 'ERR_UNKNOWN_PATH' }]);
  });
});

describe('another machine', () => {
  it.each<{ name: string; peerAddress?: string; headers: Record<string, string>; status: number }>([
    { name: 'without a key', peerAddress: ELSEWHERE, headers: {}, status: 401 },
    { name: 'with another key', peerAddress: ELSEWHERE, headers: bearer('sk-another-0123456789'), status: 401 },
    { name: 'with the master key', peerAddress: ELSEWHERE, headers: bearer(MASTER_KEY), status: 200 },
    { name: 'that a proxy here speaks for', headers: { 'x-forwarded-for': ELSEWHERE }, status: 401 },
    { name: 'that a proxy here speaks for (RFC 7239)', headers: { forwarded: `for=${ELSEWHERE}` }, status: 401 },
    { name: 'that a proxy here speaks for (nginx)', headers: { 'x-real-ip': ELSEWHERE }, status: 401 },
    { name: 'that a proxy here speaks for (Cloudflare)', headers: { 'cf-connecting-ip': ELSEWHERE }, status: 401 },
    {
      name: 'that a proxy here speaks for, with the master key',
      headers: { 'x-forwarded-for': ELSEWHERE, ...bearer(MASTER_KEY) },
      status: 200,
    },
    { name: 'that is this one, by way of a proxy', headers: { forwarded: 'for=127.0.0.1' }, status: 200 },
  ])('answers another machine $name with $status', async ({ peerAddress, headers, status }) => {
    const { url } = await open({ peerAddress });
    const response = await fetch(url, { headers });
    expect(response.status).toBe(status);
    if (status === 401) expect(await response.json()).toMatchObject({ code: 'ERR_MASTER_KEY' });
    else expect(await response.text()).toContain('bedrock_proxy_');
  });

  it('shows another machine no metrics if there is no master key, whatever it sends', async () => {
    const { url } = await open({ masterKey: undefined, peerAddress: ELSEWHERE });
    const response = await fetch(url, { headers: bearer('undefined') });
    expect(response.status).toBe(401);
    expect(await response.text()).toContain('BEDROCK_PROXY_MASTER_KEY');
  });

  it('does not let another machine try keys for ever', async () => {
    const { url } = await open({ peerAddress: ELSEWHERE });
    let response = await fetch(url, { headers: bearer('sk-wrong-0') });
    for (let count = 1; count < 70 && response.status === 401; count += 1) {
      await response.text();
      response = await fetch(url, { headers: bearer(`sk-wrong-${count}`) });
    }
    expect([response.status, await response.json()]).toMatchObject([429, { code: 'ERR_TOO_MANY_FAILURES' }]);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});
