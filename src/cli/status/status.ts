/**
 * `status`: what runs, as it says itself.
 */
import { EXIT_FAILED, formatFields, printData, printJson, printTalk } from '../../app/print.ts';
import type { ServerStatus, ServerUpstream, StoreStatus } from '../../auth/server-status.ts';
import { upstreamToJson } from '../../admin/health.ts';
import { type FoundProxy, findRunning } from '../../app/find-running.ts';
import { readConfig } from '../../config/config.ts';
import { parseInteger } from '../../config/options.ts';
import { formatAge, formatCount, isoTime } from '../../lib/format.ts';
import { printable } from '../../lib/printable.ts';
import { exactUsd, formatUsd } from '../../lib/usd.ts';

interface StatusInput {
  readonly port: string | undefined;
  readonly json?: boolean;
}

/** Prints it; sets the exit code to 1 if nothing runs. */
export async function printStatus(input: StatusInput): Promise<void> {
  const found = await findChosen(input);
  if (found.length === 0) process.exitCode = EXIT_FAILED;
  if (input.json === true) return printJson(found.map(toJson));
  if (found.length === 0) return printTalk(describeNone(input));
  printData(found.map((proxy) => describeProxy(proxy, Date.now())).join('\n\n'));
}

/** Those that the command is about. Throws ERR_BAD_OPTION. */
export async function findChosen({ port: text }: Pick<StatusInput, 'port'>): Promise<readonly FoundProxy[]> {
  const port = text === undefined ? undefined : parseInteger({ value: text, origin: '--port' }, 1, 65_535);
  const found = await findRunning(readConfig({}, process.env));
  return found.filter(({ file }) => port === undefined || file.port === port);
}

/** That there are none of them. */
export function describeNone({ port }: Pick<StatusInput, 'port'>): string {
  return port === undefined ? 'No proxy runs.' : `No proxy runs on port ${port}.`;
}

function describeProxy({ file, status }: FoundProxy, nowMs: number): string {
  if (status === undefined) {
    return [
      `port ${file.port}`,
      indent([
        ['process', `${file.pid}, which does not prove to be a proxy: it hangs, or has another secret than is here`],
        ['database', printable(file.database, Number.POSITIVE_INFINITY)],
      ]),
    ].join('\n');
  }
  const { url, pid, workers, startedAtMs, version, region, database } = status;
  const of = workers === 1 ? '' : `, leads ${workers} workers`;
  return [
    printable(url, Number.POSITIVE_INFINITY),
    indent([
      ['process', `${pid}${of}; version ${printable(version, 40)}, started ${formatAge(startedAtMs, nowMs)}`],
      ['mode', describeMode(status)],
      ['region', region === undefined ? 'none' : printable(region, 40)],
      ['database', printable(database, Number.POSITIVE_INFINITY)],
      ...(status.store === undefined ? [] : [['store', describeStore(status.store)] as const]),
      ['requests', describeRequests(status)],
      ...status.upstreams.map((each): [string, string] => ['upstream', describeUpstream(each)]),
    ]),
  ].join('\n');
}

function indent(fields: readonly (readonly [string, string])[]): string {
  return formatFields(fields).replaceAll(/^/gm, '  ');
}

function describeMode({ mode, offline }: ServerStatus): string {
  const words = { open: 'open, no key needed', keys: 'keys', master: 'keys, and the master key' }[mode];
  return offline ? `${words}; offline` : words;
}

function describeRequests({ requests, inFlight, costNanoUsd, unpriced }: ServerStatus): string {
  const parts = [formatCount(requests), ...(inFlight > 0 ? [`${formatCount(inFlight)} under way`] : [])];
  const unknown = unpriced > 0 ? ` + ? (${formatCount(unpriced)} unpriced)` : '';
  return `${parts.join(', ')}; ${formatUsd(costNanoUsd)}${unknown}`;
}

function describeStore({ awayForMs, spilledRows, lostRows }: StoreStatus): string {
  const parts = [awayForMs === undefined ? 'responds' : `has not responded for ${Math.ceil(awayForMs / 1000)} s`];
  if (spilledRows > 0) parts.push(`${formatCount(spilledRows)} rows wait for it in files`);
  if (lostRows > 0) parts.push(`${formatCount(lostRows)} rows are lost`);
  return parts.join('; ');
}

function describeUpstream({ name, region, state, inFlight, restMs }: ServerUpstream): string {
  const where = region === undefined ? '' : ` (${printable(region, 40)})`;
  const retry = `for another ${Math.ceil(restMs / 1000)} s`;
  const words = { ready: 'ready', resting: `rests ${retry}`, models: `some models rest ${retry}` }[state];
  const underWay = inFlight === 0 ? '' : `, ${formatCount(inFlight)} under way`;
  return `${printable(name, 60)}${where}: ${words}${underWay}`;
}

function storeToJson({ awayForMs, spilledRows, lostRows }: StoreStatus): Readonly<Record<string, number | null>> {
  const awaySeconds = awayForMs === undefined ? null : Math.ceil(awayForMs / 1000);
  return { away_seconds: awaySeconds, spilled_rows: spilledRows, lost_rows: lostRows };
}

function toJson({ file, status }: FoundProxy): Readonly<Record<string, unknown>> {
  return {
    port: file.port,
    pid: file.pid,
    responds: status !== undefined,
    url: status?.url ?? null,
    version: status?.version ?? null,
    mode: status?.mode ?? null,
    offline: status?.offline ?? null,
    region: status?.region ?? null,
    database: file.database,
    ...(status?.store !== undefined && { store: storeToJson(status.store) }),
    workers: status?.workers ?? null,
    requests: status?.requests ?? null,
    requests_in_flight: status?.inFlight ?? null,
    cost_usd: status === undefined ? null : exactUsd(status.costNanoUsd),
    unpriced_requests: status?.unpriced ?? null,
    upstreams: status?.upstreams.map(upstreamToJson) ?? null,
    since: isoTime(status?.startedAtMs),
  };
}
