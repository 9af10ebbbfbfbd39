/**
 * `top`: what goes on now. What has ended in the last minute, and today's dollars, are from the ledger, by key and of
 * all proxies on its database; what is in flight is from the proxy that runs on the port, if it proves that it is one
 * of this database. Reads only.
 */
import { type Config, MOUNT_PATH, readConfig } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { baseUrl } from '../../app/banner.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { formatTable, printJson } from '../../app/print.ts';
import { findRunningProxy, readMetricsOf } from '../../app/running-proxy.ts';
import { preferTls } from '../../app/tls.ts';
import type { UsageGroup, UsageSums, UsageTotals } from '../../domain/ledger.ts';
import { compactCount, formatCount, formatTime, isoTime } from '../../lib/format.ts';
import { printable } from '../../lib/printable.ts';
import { exactUsd } from '../../lib/usd.ts';
import { showLive } from '../live-screen.ts';
import { joinExecKeys } from './exec-groups.ts';
import { describeCost } from './usage-table.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MAX_LABEL = 40;

/** What the proxy on the port tells. */
export interface ProxyGauges {
  readonly inFlight: number;
  readonly streams: number;
  readonly startedAtMs: number | undefined;
}

const GROUPS = ['key', 'principal'] as const;

/** What a key has done. */
export interface TopRow {
  readonly keyId: string | undefined;
  readonly label: string;
  readonly minute: UsageTotals | undefined;
  readonly today: UsageTotals;
}

/** What goes on, at one moment. */
export interface TopReading {
  readonly nowMs: number;
  readonly url: string;
  /** Undefined: no proxy of this database answers there. */
  readonly proxy: ProxyGauges | undefined;
  /** The busiest first. */
  readonly rows: readonly TopRow[];
  readonly minute: UsageTotals | undefined;
  readonly today: UsageTotals | undefined;
}

/** `top`: shows it until `q`; with `--json`, and without a terminal, once. Throws ERR_BAD_OPTION. */
export async function printTop(input: Flags & { readonly json: boolean }): Promise<void> {
  const config = readConfig(input, process.env);
  if (input.json) return printJson(topToJson(await readTop(config, Date.now())));
  return showLive(() => readTop(config, Date.now()), formatTop);
}

async function readTop(config: Config, nowMs: number): Promise<TopReading> {
  const { host, port, database } = config;
  const [sums, proxy] = await Promise.all([
    withExistingStore(database, async (store) => {
      const sumSince = async (sinceMs: number): Promise<UsageSums> =>
        joinExecKeys(await store.sumUsage({ filter: { sinceMs }, by: GROUPS }), GROUPS, store);
      return { minute: await sumSince(nowMs - MINUTE_MS), today: await sumSince(nowMs - (nowMs % DAY_MS)) };
    }),
    readGauges(config),
  ]);
  const url = baseUrl({ host, port, mountPath: '' });
  if (sums === undefined) return { nowMs, url, proxy, rows: [], minute: undefined, today: undefined };
  const { minute, today } = sums;
  return { nowMs, url, proxy, rows: joinRows(minute.groups, today.groups), minute: minute.total, today: today.total };
}

/** Undefined if what listens there does not prove itself: it may say anything. */
async function readGauges(config: Config): Promise<ProxyGauges | undefined> {
  const { host, port } = config;
  if ((await findRunningProxy(config)).kind !== 'ours') return undefined;
  const server = await preferTls(baseUrl({ host, port, mountPath: MOUNT_PATH }), config);
  const text = await readMetricsOf(server);
  return text === undefined ? undefined : parseGauges(text);
}

/** Of several processes the sum, and the start of the first. */
export function parseGauges(text: string): ProxyGauges {
  const read = (name: string): readonly number[] => {
    const lines = text.matchAll(new RegExp(String.raw`^${name}(?:\{.*\})? (\d+(?:\.\d+)?)$`, 'gm'));
    return [...lines].map(([, value]) => Number(value));
  };
  const sum = (name: string): number => read(name).reduce((all, one) => all + one, 0);
  const starts = read('process_start_time_seconds');
  return {
    inFlight: sum('bedrock_proxy_requests_in_flight'),
    streams: sum('bedrock_proxy_streams_in_flight'),
    startedAtMs: starts.length === 0 ? undefined : Math.min(...starts) * 1_000,
  };
}

/** The keys of `exec` have lost their ids, and are told apart by what they ran. */
function nameOf({ names, label }: UsageGroup): string {
  return JSON.stringify([...names, names[0] === undefined ? label : undefined]);
}

/** A request of the last minute may have begun yesterday. */
function joinRows(minute: readonly UsageGroup[], today: readonly UsageGroup[]): readonly TopRow[] {
  const known = new Map(today.map((group) => [nameOf(group), group]));
  const lately = new Map(minute.map((group) => [nameOf(group), group]));
  return [...new Set([...lately.keys(), ...known.keys()])]
    .map((name) => {
      const group = known.get(name) ?? lately.get(name);
      return group && { group, last: lately.get(name) };
    })
    .filter((found) => found !== undefined)
    .map(({ group, last }) => ({
      keyId: group.names[0],
      label: group.label ?? group.names[1] ?? '-',
      minute: last,
      today: group,
    }))
    .toSorted((a, b) => sumTokens(b.minute) - sumTokens(a.minute) || b.today.costNanoUsd - a.today.costNanoUsd);
}

function sumTokens(totals: UsageTotals | undefined): number {
  const { inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0 } = totals ?? {};
  return inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens;
}

/** The screen. */
export function formatTop({ nowMs, url, proxy, rows, minute, today }: TopReading, width: number | undefined): string {
  const since = proxy?.startedAtMs === undefined ? '' : `, since ${formatTime(proxy.startedAtMs)}`;
  const state = proxy === undefined ? ': no proxy of this database answers there; --port names another' : since;
  const [all, streams] = [proxy?.inFlight, proxy?.streams].map((count) => formatCount(count ?? 0));
  const inFlight = proxy === undefined ? '?' : `${all}, ${streams} streamed`;
  const table = rows.map((row) => [printable(row.label, MAX_LABEL), ...cellsOf(row.minute, row.today)]);
  const titles = ['requests/min', 'tokens/min', 'errors/min', 'today'];
  return [
    `${new Date(nowMs).toISOString().slice(11, 19)}Z  ${url}${state}`,
    `in flight: ${inFlight}`,
    '',
    formatTable(['key', ...titles], [...table, ['all', ...cellsOf(minute, today)]], {
      right: new Set(titles),
      width,
      spare: ['errors/min'],
    }),
  ].join('\n');
}

function cellsOf(minute: UsageTotals | undefined, today: UsageTotals | undefined): readonly string[] {
  const { requests = 0, errors = 0 } = minute ?? {};
  return [
    formatCount(requests),
    compactCount(sumTokens(minute)),
    formatCount(errors),
    today === undefined ? '$0' : describeCost(today),
  ];
}

/** Exact; what is unknown is null. */
export function topToJson({ nowMs, url, proxy, rows, minute, today }: TopReading): object {
  return {
    time: isoTime(nowMs),
    url,
    running: proxy !== undefined,
    since: isoTime(proxy?.startedAtMs),
    in_flight: proxy?.inFlight ?? null,
    streams_in_flight: proxy?.streams ?? null,
    ...sumsToJson(minute, today),
    keys: rows.map((row) => ({
      key_id: row.keyId ?? null,
      label: row.label,
      ...sumsToJson(row.minute, row.today),
    })),
  };
}

function sumsToJson(minute: UsageTotals | undefined, today: UsageTotals | undefined): object {
  return {
    requests_per_minute: minute?.requests ?? 0,
    tokens_per_minute: sumTokens(minute),
    errors_per_minute: minute?.errors ?? 0,
    today_usd: exactUsd(today?.costNanoUsd ?? 0),
    today_unpriced: today?.unpriced ?? 0,
  };
}
