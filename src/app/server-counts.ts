/** Sums of what a server has counted, read off its metrics: there they are put together for all of its workers. */
import type { ServerStatus } from '../auth/server-status.ts';

const NANO = 1e9;

/** The counts of a status in a response of `/metrics`. */
export function readServerCounts(
  metrics: string,
): Pick<ServerStatus, 'requests' | 'inFlight' | 'costNanoUsd' | 'unpriced'> {
  const lines = metrics.split('\n');
  const sum = (name: string): number =>
    lines
      .filter((line) => line.startsWith(`bedrock_proxy_${name}`) && /^[{ ]/.test(line.slice(14 + name.length)))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return {
    requests: sum('requests_total'),
    inFlight: sum('requests_in_flight'),
    costNanoUsd: Math.round(sum('cost_usd_total') * NANO),
    unpriced: sum('unpriced_requests_total'),
  };
}
