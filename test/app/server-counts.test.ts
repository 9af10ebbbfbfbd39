import { expect, it } from 'vitest';
import { readServerCounts } from '../../src/app/server-counts.ts';

it('adds up what each series of a metric has, whatever its labels hold, and no metric of a longer name', () => {
  const metrics = [
    '# HELP bedrock_proxy_requests_total Requests.',
    '# TYPE bedrock_proxy_requests_total counter',
    'bedrock_proxy_requests_total{key="a } 7",model="x"} 3',
    'bedrock_proxy_requests_total{key="b"} 4',
    'bedrock_proxy_requests_total_of_others 100',
    'bedrock_proxy_requests_in_flight 2',
    'bedrock_proxy_cost_usd_total{key="a"} 0.1',
    'bedrock_proxy_cost_usd_total{key="b"} 0.2',
    'bedrock_proxy_unpriced_requests_total{key="b"} 1',
  ].join('\n');
  expect(readServerCounts(metrics)).toEqual({ requests: 7, inFlight: 2, costNanoUsd: 300_000_000, unpriced: 1 });
});

it('has nothing for what was never counted', () => {
  expect(readServerCounts('')).toEqual({ requests: 0, inFlight: 0, costNanoUsd: 0, unpriced: 0 });
});
