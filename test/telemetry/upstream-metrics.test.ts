import { describe, expect, it } from 'vitest';
import { openRecord, type RequestRecord } from '../../src/domain/request-record.ts';
import { UpstreamMetrics } from '../../src/telemetry/upstream-metrics.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };
const recordOf = (facts: Partial<RequestRecord>): RequestRecord => ({ ...openRecord('id', 0, HEAD), ...facts });

function open() {
  const metrics = new UpstreamMetrics('p_');
  metrics.watch(() => [{ name: 'a', state: 'models', inFlight: 2 }]);
  const read = () =>
    metrics
      .families()
      .map(({ name, samples }) => [name, [...samples()].map(([, labels, sum]) => ({ ...labels, sum }))]);
  return { metrics, read };
}

describe('the metrics of several upstreams', () => {
  it('are none if there is one', () => {
    expect(new UpstreamMetrics('p_').families()).toEqual([]);
  });

  it('count attempts by upstream and outcome', () => {
    const { metrics, read } = open();
    const record = recordOf({ upstream: 'b', status: 200 });
    metrics.noteFailure(record, { upstream: 'a', kind: 'refused', code: 'ThrottlingException' });
    metrics.noteEnd('b', record);
    metrics.noteEnd('b', recordOf({ status: 400, upstreamErrorType: 'ValidationException' }));
    metrics.noteEnd('b', recordOf({ status: 502 }));
    expect(read()).toEqual([
      [
        'p_upstream_attempts_total',
        [
          { upstream: 'a', outcome: 'ThrottlingException', sum: 1 },
          { upstream: 'b', outcome: 'ok', sum: 1 },
          { upstream: 'b', outcome: 'ValidationException', sum: 1 },
          { upstream: 'b', outcome: 'HTTP 502', sum: 1 },
        ],
      ],
      ['p_upstream_requests_in_flight', [{ upstream: 'a', sum: 2 }]],
      ['p_upstream_resting', [{ upstream: 'a', sum: 1 }]],
    ]);
  });

  it('count an attempt once whose response passed after all', () => {
    const { metrics, read } = open();
    const record = recordOf({ upstream: 'a', status: 429, upstreamErrorType: 'ThrottlingException' });
    metrics.noteFailure(record, { upstream: 'a', kind: 'refused', code: 'ThrottlingException' });
    metrics.noteFailure(record, { upstream: 'b', kind: 'unsent', code: 'ERR_UPSTREAM_UNREACHABLE' });
    metrics.noteEnd('a', record);
    expect(read()[0]?.[1]).toEqual([
      { upstream: 'a', outcome: 'ThrottlingException', sum: 1 },
      { upstream: 'b', outcome: 'ERR_UPSTREAM_UNREACHABLE', sum: 1 },
    ]);
  });

  it('have an end', () => {
    const { metrics, read } = open();
    for (let index = 0; index < 1_000; index += 1) {
      metrics.noteFailure(recordOf({}), { upstream: 'a', kind: 'refused', code: `Type${index}` });
    }
    expect(read()[0]?.[1]).toHaveLength(501);
    expect(read()[0]?.[1]).toContainEqual({ upstream: 'a', outcome: 'other', sum: 500 });
  });
});
