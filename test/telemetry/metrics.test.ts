import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { aFinishedRecord, aKeyPrincipal } from '../helpers/finished-record.ts';

const SERIES = '{service="bedrock-runtime",operation="Converse",model="amazon.nova-lite-v1:0",key="alice"}';

/** Sums by `name{labels}`, as a Prometheus server would read them. */
async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  const { body } = metrics.render();
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

async function scrapeAfter(...records: readonly RequestRecord[]): Promise<Map<string, number>> {
  const metrics = createMetrics();
  for (const record of records) metrics.ended(record);
  return scrape(metrics);
}

const aRoute = (fields: Partial<NonNullable<RequestRecord['route']>>): RequestRecord['route'] => ({
  service: 'bedrock-runtime',
  operation: 'Converse',
  region: 'us-east-1',
  modelId: undefined,
  ...fields,
});

/** Model labels of the requests that were counted. */
const models = (sums: Map<string, number>) =>
  [...sums.keys()]
    .filter((name) => name.startsWith('bedrock_proxy_requests_total'))
    .map((name) => /model="((?:[^"\\]|\\.)*)"/.exec(name)?.[1]);

const ours = (sums: Map<string, number>) => [...sums].filter(([name]) => name.startsWith('bedrock_proxy_'));

describe('counters', () => {
  it('counts requests, tokens, cost and bytes per service, operation, model and key', async () => {
    const usage = { inputTokens: 4, outputTokens: 5, cacheReadTokens: 6, cacheWriteTokens: 7 };
    const sums = await scrapeAfter(aFinishedRecord(), aFinishedRecord({ usage, costNanoUsd: 1 }));
    const labels = SERIES.slice(1, -1);
    expect(sums.get(`bedrock_proxy_requests_total{${labels},status="200"}`)).toBe(2);
    expect(sums.get(`bedrock_proxy_tokens_total{${labels},kind="input"}`)).toBe(1_204);
    expect(sums.get(`bedrock_proxy_tokens_total{${labels},kind="output"}`)).toBe(315);
    expect(sums.get(`bedrock_proxy_tokens_total{${labels},kind="cache_read"}`)).toBe(6);
    expect(sums.get(`bedrock_proxy_tokens_total{${labels},kind="cache_write"}`)).toBe(7);
    expect(sums.get(`bedrock_proxy_cost_usd_total${SERIES}`)).toBe(0.004200001);
    expect(sums.get(`bedrock_proxy_unpriced_requests_total${SERIES}`)).toBe(0);
    expect(sums.get(`bedrock_proxy_partial_requests_total${SERIES}`)).toBe(0);
    expect(sums.get(`bedrock_proxy_request_bytes_total${SERIES}`)).toBe(642);
    expect(sums.get(`bedrock_proxy_response_bytes_total${SERIES}`)).toBe(91_356);
  });

  it('counts errors of AWS that no entry explains, and no others', async () => {
    const failed = { status: 400, upstreamStatus: 400, upstreamErrorType: 'ValidationException' };
    const sums = await scrapeAfter(
      aFinishedRecord({ ...failed, upstreamErrorMessage: 'Something that nobody has seen.' }),
      aFinishedRecord({ ...failed, upstreamErrorMessage: 'invalid beta flag' }),
      aFinishedRecord({ status: 403, error: new ProxyError('ERR_SCOPE', 'no') }),
    );
    expect([...sums].filter(([name]) => name.includes('unexplained'))).toEqual([
      ['bedrock_proxy_unexplained_errors_total{code="ValidationException"}', 1],
    ]);
  });

  it('has no line for what nothing reported: it is not 0', async () => {
    const sums = await scrapeAfter(
      aFinishedRecord({ usage: undefined, pricing: 'unpriced', costNanoUsd: undefined, partial: true }),
    );
    expect([...sums.keys()].filter((name) => /tokens|cost/.test(name))).toEqual([]);
    expect(sums.get(`bedrock_proxy_unpriced_requests_total${SERIES}`)).toBe(1);
    expect(sums.get(`bedrock_proxy_partial_requests_total${SERIES}`)).toBe(1);
  });

  it('adds nothing twice if metrics are read twice', async () => {
    const metrics = createMetrics();
    metrics.ended(aFinishedRecord());
    const first = await scrape(metrics);
    const second = await scrape(metrics);
    expect(ours(second)).toEqual(ours(first));
  });

  it.each<{ name: string; fields: Partial<RequestRecord>; labels: string }>([
    {
      name: "the proxy's own",
      fields: { status: 402, error: new ProxyError('ERR_BUDGET_EXCEEDED', 'm') },
      labels: 'code="ERR_BUDGET_EXCEEDED",fault="client"',
    },
    {
      name: "AWS's",
      fields: { status: 429, upstreamErrorType: 'ThrottlingException' },
      labels: 'code="ThrottlingException",fault="aws"',
    },
    {
      name: "AWS's behind a 200",
      fields: { status: 200, upstreamErrorType: 'ModelStreamErrorException' },
      labels: 'code="ModelStreamErrorException",fault="aws"',
    },
    { name: "AWS's without a type", fields: { status: 503 }, labels: 'code="HTTP 503",fault="aws"' },
    {
      name: 'a stream that broke behind a 200',
      fields: { status: 200, error: new ProxyError('ERR_UPSTREAM_RESET', 'm') },
      labels: 'code="ERR_UPSTREAM_RESET",fault="upstream"',
    },
  ])('counts errors by code and fault: $name', async ({ fields, labels }) => {
    const sums = await scrapeAfter(aFinishedRecord(fields), aFinishedRecord(fields), aFinishedRecord());
    expect([...sums].filter(([name]) => name.startsWith('bedrock_proxy_errors_total'))).toEqual([
      [`bedrock_proxy_errors_total{${labels}}`, 2],
    ]);
  });

  it('names in labels what does not apply, and what no table knows', async () => {
    const sums = await scrapeAfter(
      aFinishedRecord({ principal: undefined, route: undefined, status: undefined }),
      aFinishedRecord({ route: aRoute({ operation: undefined }) }),
    );
    const nobody = 'service="none",operation="none",model="none",key="none",status="none"';
    const unknown = 'service="bedrock-runtime",operation="unknown",model="none",key="alice",status="200"';
    expect(sums.get(`bedrock_proxy_requests_total{${nobody}}`)).toBe(1);
    expect(sums.get(`bedrock_proxy_requests_total{${unknown}}`)).toBe(1);
  });
});

describe('histograms', () => {
  const labels = 'service="bedrock-runtime",operation="Converse",model="amazon.nova-lite-v1:0"';

  it.each([
    { name: 'request_duration_seconds', below: '1', above: '2.5', sum: 1.5 },
    { name: 'first_byte_seconds', below: '0.25', above: '0.5', sum: 0.3 },
    { name: 'overhead_seconds', below: '0.0005', above: '0.001', sum: 0.00075 },
  ])('measures $name in seconds', async ({ name, below, above, sum }) => {
    const sums = await scrapeAfter(aFinishedRecord({ totalMs: 1_500, firstByteMs: 300, overheadMs: 0.75 }));
    expect(sums.get(`bedrock_proxy_${name}_sum{${labels}}`)).toBe(sum);
    expect(sums.get(`bedrock_proxy_${name}_bucket{le="${below}",${labels}}`)).toBe(0);
    expect(sums.get(`bedrock_proxy_${name}_bucket{le="${above}",${labels}}`)).toBe(1);
    expect(sums.get(`bedrock_proxy_${name}_bucket{le="+Inf",${labels}}`)).toBe(1);
  });

  it('leaves out of histograms what never happened', async () => {
    const sums = await scrapeAfter(aFinishedRecord({ firstByteMs: undefined, overheadMs: undefined }));
    expect(sums.get(`bedrock_proxy_request_duration_seconds_count{${labels}}`)).toBe(1);
    expect(sums.has(`bedrock_proxy_first_byte_seconds_count{${labels}}`)).toBe(false);
    expect(sums.has(`bedrock_proxy_overhead_seconds_count{${labels}}`)).toBe(false);
  });
});

describe('gauges', () => {
  it('counts requests and streams in flight', async () => {
    const metrics = createMetrics();
    const [first, second] = [{ ...aFinishedRecord(), isStreamed: true }, aFinishedRecord()];
    const inFlight = async () => {
      const sums = await scrape(metrics);
      return [sums.get('bedrock_proxy_requests_in_flight'), sums.get('bedrock_proxy_streams_in_flight')];
    };
    expect(await inFlight()).toEqual([0, 0]);
    metrics.began(first);
    metrics.began(second);
    metrics.responseStarted(first);
    metrics.responseStarted(second);
    expect(await inFlight()).toEqual([2, 1]);
    metrics.ended(first);
    expect(await inFlight()).toEqual([1, 0]);
    metrics.ended(second);
    expect(await inFlight()).toEqual([0, 0]);
  });

  it('describes the process under the usual names', async () => {
    const sums = await scrapeAfter();
    expect(sums.get('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    expect(sums.get('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
    expect(sums.get('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(Math.abs((sums.get('process_start_time_seconds') ?? 0) - Date.now() / 1000)).toBeLessThan(3_600);
  });
});

describe('labels', () => {
  it.each([
    { name: 'a quotation mark', model: 'a"} 99\nforged{x="', label: 'a\\"} 99?forged{x=\\"' },
    { name: 'a backslash', model: 'a\\', label: 'a\\\\' },
    { name: 'a line separator', model: 'a\u2028b', label: 'a?b' },
    { name: 'a lone surrogate', model: 'a\ud800b', label: 'a?b' },
    { name: 'a direction override', model: 'a\u202eb', label: 'a?b' },
    { name: 'more than two hundred characters', model: 'a'.repeat(300), label: 'a'.repeat(200) },
  ])('lets nobody forge a label by $name', async ({ model, label }) => {
    const sums = await scrapeAfter(aFinishedRecord({ model }));
    expect(models(sums)).toEqual([label]);
    const { body } = createMetrics().render();
    expect(body).not.toContain('forged');
  });

  it('keeps two series apart whose labels look alike when they are joined', async () => {
    const sums = await scrapeAfter(
      aFinishedRecord({ model: 'c', principal: aKeyPrincipal({ label: 'a,model:b' }) }),
      aFinishedRecord({ model: 'b,model:c', principal: aKeyPrincipal({ label: 'a' }) }),
    );
    expect(models(sums)).toHaveLength(2);
  });
});

it('writes text that Prometheus reads, each metric once', async () => {
  const metrics = createMetrics();
  metrics.ended(aFinishedRecord());
  const { contentType, body } = metrics.render();
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  const types = body.split('\n').filter((line) => line.startsWith('# TYPE '));
  expect(new Set(types).size).toBe(types.length);
  const line = /^(#.*|[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)*\})? [-+0-9.eInf]+)?$/;
  expect(body.split('\n').filter((text) => !line.test(text))).toEqual([]);
});
