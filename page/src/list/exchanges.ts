/**
 * The exchanges of the list, as far as they are loaded, and their changes as they come. State of the page: it asks the
 * API and draws nothing.
 */
import { computed, effect, signal, untracked } from '@preact/signals';
import type { ExchangeList, ExchangeSummary, InspectorState } from '../../../src/inspector/wire.ts';
import { ApiFailure, describeFailure, getJson, openEvents, send, token } from '../api.ts';
import { place } from '../routes.ts';
import { saved } from '../saved.ts';
import { announcement, failure, liveness, refusal, serverState } from '../state.ts';

/** Rows that are kept in the page; older ones are loaded again. */
const MAX_ROWS = 20_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;
const ANNOUNCE_MS = 5_000;
const DRAW_MS = 100;
/** So many rows fill any window. */
const FULL_PAGE = 100;

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

/** Older ones are being asked for. */
export const isSearching = signal(false);

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

/** The same request that its client sent again after this one had failed. */
export function findRetry(id: string): ExchangeSummary | undefined {
  return exchanges.value.find((each) => each.attempt?.previous === id);
}

/** The failure that the foot tells of. */
export const lastError = computed(() => exchanges.value.find(({ row }) => isError(row)));

let abort = new AbortController();
/** Of pages of older ones: they are asked for while changes are stopped, too. */
let pageAbort = new AbortController();
let cursor = 0;
/** The filter of what is loaded; undefined: nothing is, or it is out of date. */
let loadedFilter: string | undefined;
let newSince = { requests: 0, errors: 0 };

/** What the address filters by. */
const filter = computed(() => (place.value.view === 'exchanges' ? place.value.filter : (loadedFilter ?? '')));

/** Follows the filter of the address, whatever changes it; gives the function that ends it. */
export function followFilter(): () => void {
  return effect(() => {
    const { value } = filter;
    untracked(() => {
      if (value !== loadedFilter) void follow();
    });
  });
}

/** Loads the first page if need be, and follows from there by its cursor; what ran before is ended. */
async function follow(): Promise<void> {
  abort.abort();
  abort = new AbortController();
  const { signal: ended } = abort;
  for (let wait = RETRY_MS; !ended.aborted; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
    try {
      if (loadedFilter !== filter.peek()) await load(filter.peek(), ended);
      wait = RETRY_MS;
      if (isPaused.peek() || document.hidden || saved !== undefined) {
        liveness.value = saved === undefined ? 'paused' : 'saved';
        return;
      }
      await watch(ended);
      if (ended.aborted) return;
      liveness.value = 'gone';
    } catch (thrown) {
      if (ended.aborted || isRefused(thrown)) return;
      liveness.value = 'gone';
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Until the server ends it. Throws ApiFailure. */
async function watch(ended: AbortSignal): Promise<void> {
  const query = new URLSearchParams({ after: String(cursor), ...filterQuery() });
  await openEvents(`/events?${query.toString()}`, onEvent, ended, () => (liveness.value = 'live'));
}

function filterQuery(): Record<string, string> {
  return filter.peek() === '' ? {} : { filter: filter.peek() };
}

const NO_TOKEN = 'This page needs its token.';
const WRONG_TOKEN = 'The token of this page is not valid any more: each start of the proxy makes a new one.';

/** Whether asking again cannot help. */
function isRefused(thrown: unknown): boolean {
  if (!(thrown instanceof ApiFailure)) return false;
  if (thrown.status === 400 && filter.peek() !== '') {
    filterProblem.value = thrown.message;
    isLoaded.value = true;
    loadedFilter = undefined;
    liveness.value = 'paused';
    return true;
  }
  if (thrown.status !== 401 && thrown.status !== 429) return false;
  refusal.value = thrown.status === 429 ? thrown.message : token.value === undefined ? NO_TOKEN : WRONG_TOKEN;
  liveness.value = 'gone';
  return true;
}

async function load(wanted: string, ended: AbortSignal): Promise<void> {
  const query = new URLSearchParams(filterQuery());
  const [list, state] = await Promise.all([
    getJson<ExchangeList>(`/exchanges?${query.toString()}`, ended),
    getJson<InspectorState>('/state', ended),
  ]);
  loadedFilter = wanted;
  cursor = list.cursor;
  waiting = [];
  exchanges.value = list.items;
  nextBefore.value = list.next ?? undefined;
  serverState.value = state;
  refusal.value = undefined;
  filterProblem.value = undefined;
  isLoaded.value = true;
  pageAbort.abort();
  pageAbort = new AbortController();
  void fillPage(pageAbort.signal);
}

/** A filter that lets little through: pages without a row are no end of the list. */
async function fillPage(ended: AbortSignal): Promise<void> {
  while (!ended.aborted && exchanges.value.length < FULL_PAGE && nextBefore.value !== undefined) {
    if (!(await loadMore())) return;
  }
}

/** The next page of older ones; false: they could not be had. */
export async function loadMore(): Promise<boolean> {
  const before = nextBefore.value;
  if (before === undefined) return false;
  nextBefore.value = undefined;
  isSearching.value = true;
  const query = new URLSearchParams({ before: String(before), ...filterQuery() });
  const { signal: ended } = pageAbort;
  try {
    const list = await getJson<ExchangeList>(`/exchanges?${query.toString()}`, ended);
    if (ended.aborted) return false;
    const known = new Set(exchanges.value.map(({ id }) => id));
    exchanges.value = [...exchanges.value, ...list.items.filter(({ id }) => !known.has(id))];
    nextBefore.value = list.next ?? undefined;
    return true;
  } catch {
    if (!ended.aborted) nextBefore.value = before;
    return false;
  } finally {
    isSearching.value = false;
  }
}

let waiting: { readonly kind: 'upsert' | 'remove'; readonly id: string; readonly exchange?: ExchangeSummary }[] = [];
let isDrawing = false;

function onEvent(event: string, data: unknown): void {
  // The server writes nothing else.
  const { cursor: at, exchange, id, state } = data as EventData;
  if (at !== undefined) cursor = at;
  if (event === 'state' && state !== undefined) serverState.value = state;
  if (event === 'reset') {
    loadedFilter = undefined;
    return void follow();
  }
  if (event === 'upsert' && exchange !== undefined) waiting.push({ kind: 'upsert', id: exchange.id, exchange });
  if (event === 'remove' && id !== undefined) waiting.push({ kind: 'remove', id });
  if (waiting.length === 0 || isDrawing) return;
  isDrawing = true;
  // Ten times a second: nobody reads faster.
  setTimeout(() => {
    isDrawing = false;
    const changes = waiting;
    waiting = [];
    if (changes.length > 0) exchanges.value = applyChanges(exchanges.value, changes);
  }, DRAW_MS);
}

interface EventData {
  readonly cursor?: number;
  readonly exchange?: ExchangeSummary;
  readonly id?: string;
  readonly state?: InspectorState;
}

/** Pure: the list after changes; newest first, each once. */
function applyChanges(
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

/** Stops or goes on; what was missed meanwhile comes then. */
export function setPaused(paused: boolean): void {
  isPaused.value = paused;
  if (!paused) return void follow();
  abort.abort();
  liveness.value = 'paused';
}

/** With another token. */
export function startAnew(): void {
  loadedFilter = undefined;
  refusal.value = undefined;
  void follow();
}

/** Does it, and says so if it does not work. */
async function attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    failure.value = undefined;
    return await work();
  } catch (thrown) {
    failure.value = describeFailure(thrown);
    return undefined;
  }
}

/** All that are not pinned; with a filter, only those that it lets through. */
export async function clear(): Promise<void> {
  const query = new URLSearchParams(filterQuery()).toString();
  await attempt(() => send('DELETE', `/exchanges${query === '' ? '' : `?${query}`}`));
  if (isPaused.value) await load(filter.peek(), abort.signal).catch(() => {});
}

/** Pins it, or lets go of it. */
export async function togglePin({ id, is_pinned: isPinned }: ExchangeSummary): Promise<void> {
  replace(await attempt(() => send<ExchangeSummary>('PATCH', `/exchanges/${id}`, { pinned: !isPinned })));
}

/** Empty text: none. */
export async function annotate(id: string, note: string): Promise<void> {
  replace(await attempt(() => send<ExchangeSummary>('PATCH', `/exchanges/${id}`, { note })));
}

function replace(changed: ExchangeSummary | undefined): void {
  if (changed === undefined) return;
  exchanges.value = exchanges.value.map((each) => (each.id === changed.id ? changed : each));
}
