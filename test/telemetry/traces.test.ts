/**
 * Traces against a collector on a real port, which takes OTLP in JSON. The libraries read the process's environment, so
 * it is set for each test.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ProxyError } from '../../src/lib/errors.ts';
import { openTraces, type Traces, areTracesConfigured, TRACE_PACKAGES } from '../../src/telemetry/traces.ts';
import { aFinishedRecord, STARTED_AT_MS } from '../helpers/finished-record.ts';
import { listen } from '../helpers/ports.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';

interface OtlpValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}
interface OtlpAttribute {
  readonly key: string;
  readonly value: OtlpValue;
}
interface OtlpSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly status: { readonly code?: number };
}

interface Collector {
  readonly url: string;
  readonly posts: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly text: string }[];
  /** All spans that came, parents before children. */
  spans(): OtlpSpan[];
  resource(): Record<string, unknown>;
}

/** A collector that answers with this, or as it is told to. */
async function startCollector(respond: (response: ServerResponse) => void = accept): Promise<Collector> {
  const posts: Collector['posts'] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      posts.push({ path: request.url ?? '', headers: request.headers, text: Buffer.concat(chunks).toString() });
      respond(response);
    });
  });
  const batches = () => posts.flatMap(({ text }) => JSON.parse(text).resourceSpans);
  return {
    url: `http://127.0.0.1:${await listen(server)}`,
    posts,
    spans: () =>
      batches()
        .flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans as OtlpSpan[])
        .toSorted((one, other) => one.kind - other.kind),
    resource: () => toRecord(batches()[0].resource.attributes),
  };
}

function accept(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
}

function refuse(response: ServerResponse): void {
  response.writeHead(403).end('the secret is x');
}

function toRecord(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

async function open(variables: Record<string, string>): Promise<{ traces: Traces; problems: ProxyError[] }> {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const problems: ProxyError[] = [];
  const onProblem = (error: ProxyError): void => void problems.push(error);
  return { traces: await openTraces({ environment: variables, version: '1.2.3', onProblem }), problems };
}

/** Nanoseconds of a moment so many milliseconds after the start. */
const at = (ms: number): string => String(BigInt(STARTED_AT_MS) * 1_000_000n + BigInt(ms * 1_000_000));

const endpoint = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

describe('a trace', () => {
  it('traces a request with one span of what AWS did in it, at their own times', async () => {
    const collector = await startCollector();
    const { traces, problems } = await open(endpoint(collector.url));
    traces.observe(aFinishedRecord());
    await traces.close();
    const [whole, part] = collector.spans();
    if (whole === undefined || part === undefined) throw new Error('There are no two spans.');
    expect([whole.name, whole.kind, whole.parentSpanId, whole.status.code ?? 0]).toEqual([
      'chat amazon.nova-lite-v1:0',
      2,
      undefined,
      0,
    ]);
    expect([whole.startTimeUnixNano, whole.endTimeUnixNano]).toEqual([at(0), at(1_500)]);
    expect([part.name, part.kind, part.parentSpanId, part.traceId]).toEqual([
      'bedrock-runtime.Converse',
      3,
      whole.spanId,
      whole.traceId,
    ]);
    expect([part.startTimeUnixNano, part.endTimeUnixNano]).toEqual([at(0.75), at(1_500)]);
    expect(part.events.map(({ name, timeUnixNano }) => [name, timeUnixNano])).toEqual([['first_byte', at(12.5)]]);
    expect(toRecord(whole.attributes)).toMatchObject({
      'gen_ai.request.model': 'amazon.nova-lite-v1:0',
      'gen_ai.usage.input_tokens': 1_200,
      'aws.request_id': 'aws-1',
      'bedrock_proxy.key': 'alice',
      'bedrock_proxy.cost_usd': 0.0042,
    });
    expect(problems).toEqual([]);
  });

  it('goes on with the trace of the client', async () => {
    const collector = await startCollector();
    const { traces } = await open(endpoint(collector.url));
    traces.observe(aFinishedRecord({ traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` }));
    await traces.close();
    expect(collector.spans().map(({ traceId }) => traceId)).toEqual([TRACE_ID, TRACE_ID]);
    expect(collector.spans()[0]?.parentSpanId).toBe(PARENT_ID);
  });

  it('keeps no trace if the client says that nobody keeps it', async () => {
    const collector = await startCollector();
    const { traces } = await open(endpoint(collector.url));
    traces.observe(aFinishedRecord({ traceparent: `00-${TRACE_ID}-${PARENT_ID}-00` }));
    await traces.close();
    expect(collector.posts).toEqual([]);
  });

  it('traces what never left the proxy in one span, which says that it failed', async () => {
    const collector = await startCollector();
    const { traces } = await open(endpoint(collector.url));
    traces.observe(aFinishedRecord({ sentMs: undefined, firstByteMs: undefined, status: 503 }));
    await traces.close();
    expect(collector.spans().map(({ kind, status }) => [kind, status.code])).toEqual([[2, 2]]);
  });

  it('says whose a trace is: the defaults, over which the environment wins', async () => {
    const collector = await startCollector();
    const first = await open(endpoint(collector.url));
    first.traces.observe(aFinishedRecord());
    await first.traces.close();
    expect(collector.resource()).toMatchObject({ 'service.name': 'bedrock-proxy', 'service.version': '1.2.3' });

    const other = await startCollector();
    const variables = { OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'team=blue' };
    const { traces } = await open({ ...endpoint(other.url), ...variables });
    traces.observe(aFinishedRecord());
    await traces.close();
    expect(other.resource()).toMatchObject({ 'service.name': 'mine', team: 'blue' });
  });

  it('sends traces as the environment says: with headers, to the place for traces', async () => {
    const collector = await startCollector();
    const { traces } = await open({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/mine`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-token=secret%20word',
    });
    traces.observe(aFinishedRecord());
    await traces.close();
    expect(collector.posts.map(({ path, headers }) => [path, headers['x-token'], headers['content-type']])).toEqual([
      ['/mine', 'secret word', 'application/json'],
    ]);
  });
});

describe('a collector', () => {
  it('reports a collector that refuses once, without its words, until it takes spans again', async () => {
    let isRefusing = true;
    const collector = await startCollector((response) => (isRefusing ? refuse(response) : accept(response)));
    const { traces, problems } = await open(endpoint(collector.url));
    const sendBatch = async (): Promise<void> => {
      const before = collector.posts.length;
      for (let count = 0; count < 512; count += 1) traces.observe(aFinishedRecord({ sentMs: undefined }));
      await vi.waitFor(() => expect(collector.posts.length).toBe(before + 1));
    };
    await sendBatch();
    await vi.waitFor(() => expect(problems).toHaveLength(1));
    await sendBatch();
    isRefusing = false;
    await sendBatch();
    expect(problems.map(({ message }) => message)).toEqual([
      'The OTLP collector (403) does not take traces: they are lost.',
    ]);
    expect(JSON.stringify(problems)).not.toContain('the secret is x');
    await traces.close();
  });

  it('waits two seconds at the end for a collector that never answers, and not at all before', async () => {
    const collector = await startCollector(() => {});
    const { traces } = await open(endpoint(collector.url));
    const startedAt = performance.now();
    traces.observe(aFinishedRecord());
    expect(performance.now() - startedAt).toBeLessThan(500);
    await traces.close();
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(collector.posts).toHaveLength(1);
  });

  it.each<{ name: string; variables: Record<string, string>; message: string }>([
    {
      name: 'that is no URL',
      variables: endpoint('localhost:4318'),
      message: 'There are no traces: the endpoint of the OTLP collector is no HTTP URL.',
    },
    {
      name: 'that speaks gRPC',
      variables: { ...endpoint('http://localhost:4317'), OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      message: 'There are no traces: the proxy does not speak gRPC to a collector.',
    },
  ])('reports a collector $name, and sends no traces', async ({ variables, message }) => {
    const { traces, problems } = await open(variables);
    traces.observe(aFinishedRecord());
    await traces.close();
    expect(problems.map((problem) => [problem.code, problem.message])).toEqual([['ERR_BAD_OPTION', message]]);
  });
});

it.each<{ name: string; environment: Record<string, string>; wants: boolean }>([
  { name: 'nothing', environment: {}, wants: false },
  { name: 'an endpoint', environment: endpoint('http://c:4318'), wants: true },
  { name: 'one for traces', environment: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c' }, wants: true },
  { name: 'an empty one', environment: endpoint(' '), wants: false },
  { name: 'a switch that is off', environment: { ...endpoint('http://c'), OTEL_SDK_DISABLED: 'TRUE' }, wants: false },
  { name: 'a switch that is on', environment: { ...endpoint('http://c'), OTEL_SDK_DISABLED: 'no' }, wants: true },
  { name: 'no exporter', environment: { ...endpoint('http://c'), OTEL_TRACES_EXPORTER: 'none' }, wants: false },
])('knows whether traces are wanted with $name in the environment: $wants', ({ environment, wants }) => {
  expect(areTracesConfigured(environment)).toBe(wants);
});

it('names as packages for traces the optional peers of ours, in the versions of package.json', () => {
  const { peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { peerDependencies: object };
  const ofTraces = Object.entries(peerDependencies).filter(([name]) => name.startsWith('@opentelemetry/'));
  const tested = ofTraces.map(([name, range]) => `${name}@${range.replace(/^\^|\.\d+$/g, '')}`);
  expect(TRACE_PACKAGES).toEqual(tested);
});
