/**
 * The exchanges of the list, as far as they are loaded, and their changes as they come. State of the page: it asks the
 * API and draws nothing.
 */
import { computed, signal } from '@preact/signals';
import type { ExchangeList, ExchangeSummary, InspectorState } from '../../../src/inspector/wire.ts';
import { ApiFailure, getJson, openEvents, send, token } from '../api.ts';
import { place } from '../routes.ts';
import { announcement, liveness, refusal, serverState } from '../state.ts';

/** Rows that are kept in the page; older ones are loaded again. */
const MAX_ROWS = 20_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;
const ANNOUNCE_MS = 5_000;

/** Newest first. */
export const exchanges = signal<readonly ExchangeSummary[]>([]);
/** `before` of the next page; undefined: all are loaded. */
export const nextBefore = signal<number | undefined>(undefined);
/** What is wrong with the filter; undefined: nothing. */
export const filterProblem = signal<string | undefined>(undefined);
/** Whether the first page is there. */
export const isLoaded = signal(false);
/** Stopped by the reader: changes wait on the server. */
export const isPaused = signal(false);

/** Sums of what is loaded. */
export const totals = computed(() => {
  let [errors, usd, read, input] = [0, 0, 0, 0];
  for (const { row } of exchanges.value) {
    if (isError(row)) errors += 1;
    usd += Number(row['cost_usd'] ?? 0) || 0;
    const cached = Number(row['cache_read_tokens'] ?? 0);
    read += cached;
    input += Number(row['input_tokens'] ?? 0) + cached + Number(row['cache_write_tokens'] ?? 0);
  }
  return { exchanges: exchanges.value.length, errors, usd, cachedShare: input === 0 ? undefined : read / input };
});

/** Whether a row tells of a failure, also of one inside a stream that began well. */
export function isError(row: ExchangeSummary['row']): boolean {
  return typeof row['error'] === 'string' || Number(row['status'] ?? 0) >= 400;
}

/** The failure that the foot tells of. */
export const lastError = computed(() => exchanges.value.find(({ row }) => isError(row)));

let abort = new AbortController();
let cursor = 0;
let newSince = { requests: 0, errors: 0 };

/** Loads the first page, and follows from there; what ran before is ended. */
export async function follow(): Promise<void> {
  abort.abort();
  abort = new AbortController();
  const { signal: ended } = abort;
  const filter = place.value.filter;
  for (let wait = RETRY_MS; !ended.aborted; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
    try {
      if (!isLoaded.value || liveness.value !== 'gone') await load(filter, ended);
      refusal.value = undefined;
      filterProblem.value = undefined;
      wait = RETRY_MS;
      if (isPaused.value || document.hidden) {
        liveness.value = 'paused';
        return;
      }
      liveness.value = 'live';
      const query = new URLSearchParams({ after: String(cursor), ...(filter === '' ? {} : { filter }) });
      await openEvents(`/events?${query.toString()}`, onEvent, ended);
      if (ended.aborted) return;
      liveness.value = 'gone';
    } catch (thrown) {
      if (ended.aborted) return;
      if (thrown instanceof ApiFailure && thrown.status === 400 && filter !== '') {
        filterProblem.value = thrown.message;
        isLoaded.value = true;
        return;
      }
      if (thrown instanceof ApiFailure && (thrown.status === 401 || thrown.status === 429)) {
        refusal.value = token.value === undefined ? 'no token' : thrown.message;
        liveness.value = 'gone';
        return;
      }
      liveness.value = 'gone';
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function load(filter: string, ended: AbortSignal): Promise<void> {
  const query = new URLSearchParams(filter === '' ? {} : { filter });
  const [list, state] = await Promise.all([
    getJson<ExchangeList>(`/exchanges?${query.toString()}`, ended),
    getJson<InspectorState>('/state', ended),
  ]);
  cursor = list.cursor;
  exchanges.value = list.items;
  nextBefore.value = list.next ?? undefined;
  serverState.value = state;
  isLoaded.value = true;
}

/** The next page of older ones. */
export async function loadMore(): Promise<void> {
  const before = nextBefore.value;
  if (before === undefined) return;
  nextBefore.value = undefined;
  const { filter } = place.value;
  const query = new URLSearchParams({ before: String(before), ...(filter === '' ? {} : { filter }) });
  try {
    const list = await getJson<ExchangeList>(`/exchanges?${query.toString()}`, abort.signal);
    const known = new Set(exchanges.value.map(({ id }) => id));
    exchanges.value = [...exchanges.value, ...list.items.filter(({ id }) => !known.has(id))];
    nextBefore.value = list.next ?? undefined;
  } catch {
    nextBefore.value = before;
  }
}

let waiting: { readonly kind: 'upsert' | 'remove'; readonly id: string; readonly exchange?: ExchangeSummary }[] = [];
let isDrawing = false;

function onEvent(event: string, data: unknown): void {
  const {
    cursor: at,
    exchange,
    id,
    state,
  } = data as {
    cursor?: number;
    exchange?: ExchangeSummary;
    id?: string;
    state?: InspectorState;
  };
  if (at !== undefined) cursor = at;
  if (event === 'state' && state !== undefined) serverState.value = state;
  if (event === 'reset') void follow();
  if (event === 'upsert' && exchange !== undefined) waiting.push({ kind: 'upsert', id: exchange.id, exchange });
  if (event === 'remove' && id !== undefined) waiting.push({ kind: 'remove', id });
  if (waiting.length === 0 || isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const changes = waiting;
    waiting = [];
    exchanges.value = applyChanges(exchanges.value, changes);
  });
}

/** Pure: the list after changes; newest first, each once. */
export function applyChanges(
  before: readonly ExchangeSummary[],
  changes: readonly { readonly kind: 'upsert' | 'remove'; readonly id: string; readonly exchange?: ExchangeSummary }[],
): readonly ExchangeSummary[] {
  const last = new Map(changes.map((change) => [change.id, change]));
  const kept = before.flatMap((exchange) => {
    const change = last.get(exchange.id);
    if (change === undefined) return [exchange];
    last.delete(exchange.id);
    return change.exchange === undefined ? [] : [change.exchange];
  });
  const added = [...last.values()].flatMap(({ exchange }) => (exchange === undefined ? [] : [exchange]));
  if (added.length === 0) return kept;
  countNew(added);
  added.sort((left, right) => right.sequence - left.sequence);
  const all = [...added, ...kept];
  const isSorted = (added.at(-1)?.sequence ?? 0) > (kept[0]?.sequence ?? 0);
  if (!isSorted) all.sort((left, right) => right.sequence - left.sequence);
  return all.length > MAX_ROWS ? all.slice(0, MAX_ROWS) : all;
}

function countNew(added: readonly ExchangeSummary[]): void {
  newSince = {
    requests: newSince.requests + added.length,
    errors: newSince.errors + added.filter(({ row }) => isError(row)).length,
  };
}

setInterval(() => {
  if (newSince.requests === 0 || isPaused.value) return;
  const { requests, errors } = newSince;
  newSince = { requests: 0, errors: 0 };
  const failed = errors === 0 ? '' : `, ${errors} failed`;
  announcement.value = `${requests} new ${requests === 1 ? 'request' : 'requests'}${failed}`;
}, ANNOUNCE_MS);

/** Hidden tabs hold no connection: a browser has six for each host. */
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !isPaused.value) void follow();
  if (document.hidden) abort.abort();
});

/** Stops or goes on. */
export function setPaused(paused: boolean): void {
  isPaused.value = paused;
  if (!paused) return void follow();
  abort.abort();
  liveness.value = 'paused';
}

/** All that are not pinned; with a filter, only those that it lets through. */
export async function clear(): Promise<void> {
  if (place.value.filter === '') await send('DELETE', '/exchanges');
  else {
    for (const { id, is_pinned: isPinned } of exchanges.value) if (!isPinned) await send('DELETE', `/exchanges/${id}`);
  }
  if (isPaused.value) await load(place.value.filter, abort.signal).catch(() => {});
}

/** Pins it, or lets go of it. */
export async function togglePin({ id, is_pinned: isPinned }: ExchangeSummary): Promise<void> {
  replace(await send<ExchangeSummary>('PATCH', `/exchanges/${id}`, { pinned: !isPinned }));
}

/** Empty text: none. */
export async function annotate(id: string, note: string): Promise<void> {
  replace(await send<ExchangeSummary>('PATCH', `/exchanges/${id}`, { note }));
}

function replace(changed: ExchangeSummary): void {
  exchanges.value = exchanges.value.map((each) => (each.id === changed.id ? changed : each));
}
