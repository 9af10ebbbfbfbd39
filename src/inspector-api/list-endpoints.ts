/** Endpoints of the inspector's API about all exchanges: state, list, live changes, export; faults and cassette. */
import type { FaultBoard } from '../faults/board.ts';
import { readRecordFilter } from '../filter/record-filter.ts';
import type { Exchange } from '../inspector/exchange.ts';
import { EXPORT_FORMATS, type ExportFormat } from '../inspector/export-exchanges.ts';
import { listAll } from '../inspector/list-exchanges.ts';
import { searchExchanges } from '../inspector/search-exchanges.ts';
import { readExchangeFilter } from '../inspector/views/exchange-filter.ts';
import type { ExchangeList, InspectorState } from '../inspector/wire.ts';
import { ProxyError } from '../lib/errors.ts';
import { exactUsd } from '../lib/usd.ts';
import { type InspectorCall, readJsonObject, readNumber, reply, sendDownload } from './call.ts';
import { type InspectorEndpoint, requireExchange, summariseFor } from './endpoint.ts';
import { streamChanges } from './live.ts';

const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1_000;
/** Exchanges that an export holds at most. */
const MAX_EXPORTED = 20_000;
const MAX_RULES = 100;
const MAX_RULE_LENGTH = 2_000;
const MAX_MINUTES = 1_440;

/** Paths without an id. */
export const LIST_ENDPOINTS: readonly InspectorEndpoint[] = [
  {
    method: 'GET',
    path: 'state',
    summary: 'What is kept, how much of it, and what this caller may do.',
    serve: (call) => reply(call, tellState(call)),
  },
  {
    method: 'PUT',
    path: 'capture',
    summary: 'Switches the keeping of content on, for some minutes or until further notice, or off.',
    isChange: true,
    body: { on: 'boolean', minutes: 'integer' },
    serve: setCapture,
  },
  {
    method: 'GET',
    path: 'exchanges',
    summary: 'Exchanges, the newest first.',
    query: ['filter', 'before', 'limit'],
    serve: listExchanges,
  },
  {
    method: 'DELETE',
    path: 'exchanges',
    summary: 'Removes what is kept, or what the filter lets through, but for what is pinned.',
    query: ['filter'],
    isChange: true,
    serve: removeExchanges,
  },
  {
    method: 'GET',
    path: 'events',
    summary: 'Changes after a cursor, as server-sent events: upsert, remove, reset, state.',
    query: ['after', 'filter'],
    serve: (call) => streamChanges(call, { matches: findFilter(call), tellState: () => tellState(call) }),
  },
  {
    method: 'GET',
    path: 'export',
    summary: 'Exchanges as a file: har, html or ndjson.',
    query: ['format', 'filter', 'id', 'sanitize'],
    serve: exportExchanges,
  },
  { method: 'GET', path: 'faults', summary: 'The faults in force.', serve: (call) => reply(call, readFaults(call)) },
  {
    method: 'PUT',
    path: 'faults',
    summary: 'Injects these faults from now on.',
    isChange: true,
    body: { faults: 'array', seed: 'integer' },
    serve: setFaults,
  },
  {
    method: 'DELETE',
    path: 'faults',
    summary: 'Injects no faults from now on.',
    isChange: true,
    serve: (call) => {
      requireFaults(call).clear();
      reply(call, readFaults(call));
    },
  },
  {
    method: 'GET',
    path: 'cassette',
    summary: 'What was played, what is not used yet, and what had no recording.',
    serve: (call) => reply(call, call.options.readCassette?.() ?? null),
  },
];

function tellState({ options, caller }: Pick<InspectorCall, 'options' | 'caller'>): InspectorState {
  const { kind, exchanges, maxExchanges, bytes, maxBytes, dropped } = options.source.state();
  const { capture } = options;
  const isMaster = caller === 'master';
  const until = capture?.untilMs;
  return {
    ...options.tellState(),
    kept: kind,
    is_capturing: capture?.isOn ?? (kind === 'memory' || kind === 'file'),
    may_capture: capture !== undefined && (isMaster || !options.isRemote),
    captures_until: until === undefined ? null : new Date(until).toISOString(),
    exchanges,
    max_exchanges: maxExchanges ?? null,
    bytes,
    max_bytes: maxBytes ?? null,
    dropped,
    is_master: isMaster,
    may_replay: options.replay !== undefined && (isMaster || !options.isRemote),
  };
}

async function setCapture(call: InspectorCall): Promise<void> {
  const { on, minutes } = await readJsonObject(call);
  if (typeof on !== 'boolean' || !(minutes === undefined || isMinutes(minutes))) {
    throw new ProxyError('ERR_BAD_REQUEST', `PUT capture wants {"on": true or false, "minutes": 1 to ${MAX_MINUTES}}.`);
  }
  const { capture } = call.options;
  if (capture === undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', 'What is kept here is decided when the proxy starts.', {
      hint: 'Start it with --inspect.',
    });
  }
  await capture.set(on, minutes);
  reply(call, tellState(call));
}

function isMinutes(value: unknown): value is number {
  return typeof value === 'number' && value >= 1 && value <= MAX_MINUTES;
}

function findFilter({ options, query }: InspectorCall): ((exchange: Exchange) => boolean) | undefined {
  const text = query.get('filter') ?? '';
  if (text.trim() === '') return undefined;
  const nowMs = options.nowMs();
  const ofLedger = options.source.state().kind === 'ledger' ? readRecordFilter(text, nowMs) : undefined;
  // A list that is empty because nothing is kept looks like an answer.
  const filter = ofLedger !== undefined && 'problem' in ofLedger ? ofLedger : readExchangeFilter(text, nowMs);
  if (!('problem' in filter)) return filter.matches;
  throw new ProxyError('ERR_BAD_REQUEST', filter.problem, { hint: filter.hint });
}

async function listExchanges(call: InspectorCall): Promise<void> {
  const { options, query } = call;
  const { source } = options;
  const limit = Math.min(readNumber(query, 'limit') ?? DEFAULT_LIMIT, MAX_LIMIT);
  const before = readNumber(query, 'before');
  const matches = findFilter(call);
  // Before: what changes meanwhile is told twice, and not missed.
  const { cursor: cursorBefore } = source;
  const { items, next, scanned, cursor = cursorBefore } = await searchExchanges(source, { matches, before, limit });
  const list: ExchangeList = {
    items: items.map((exchange) => summariseFor(options, exchange)),
    cursor: options.firstCursor + cursor,
    next: next ?? null,
    scanned,
    totals: addUp(items),
  };
  reply(call, list);
}

async function removeExchanges(call: InspectorCall): Promise<void> {
  const { source } = call.options;
  const matches = findFilter(call);
  if (matches === undefined) return reply(call, { removed: source.remove() });
  const found = await listAll(source, (exchange) => !exchange.isPinned && matches(exchange), Infinity);
  let removed = 0;
  for (const { id } of found) removed += source.remove(id);
  reply(call, { removed });
}

function addUp(items: readonly Exchange[]): ExchangeList['totals'] {
  let [errors, nanoUsd, read, input] = [0, 0, 0, 0];
  for (const { row } of items) {
    if (row.errorCode !== undefined || (row.status ?? 200) >= 400) errors += 1;
    nanoUsd += row.costNanoUsd ?? 0;
    const { inputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0 } = row.usage ?? {};
    read += cacheReadTokens;
    input += inputTokens + cacheReadTokens + cacheWriteTokens;
  }
  return {
    exchanges: items.length,
    errors,
    cost_usd: exactUsd(nanoUsd),
    cached_share: input === 0 ? null : read / input,
  };
}

async function exportExchanges(call: InspectorCall): Promise<void> {
  const { options, query } = call;
  const format = query.get('format') ?? 'ndjson';
  if (!isFormat(format)) throw new ProxyError('ERR_BAD_REQUEST', 'format is har, html or ndjson.');
  const id = query.get('id');
  const exchanges =
    id === null ? await listAll(options.source, findFilter(call), MAX_EXPORTED) : [await requireExchange(options, id)];
  sendDownload(call, await options.exportAs(format, exchanges, query.get('sanitize') !== '0'));
}

function isFormat(format: string): format is ExportFormat {
  return EXPORT_FORMATS.some((known) => known === format);
}

function requireFaults({ options }: InspectorCall): FaultBoard {
  if (options.faults !== undefined) return options.faults;
  throw new ProxyError('ERR_BAD_REQUEST', 'Nothing is sent from here that a fault could befall.');
}

function readFaults(call: InspectorCall): unknown {
  const { seed, faults } = requireFaults(call).read();
  return { seed, faults };
}

async function setFaults(call: InspectorCall): Promise<void> {
  const { faults, seed } = await readJsonObject(call);
  const isSeed = seed === undefined || (Number.isSafeInteger(seed) && Number(seed) >= 0);
  if (!isRules(faults) || !isSeed) {
    throw new ProxyError('ERR_BAD_REQUEST', 'PUT faults wants {"faults": [rules, as --fault takes them], "seed"}.');
  }
  const wrong = await requireFaults(call).replace(faults, seed === undefined ? undefined : Number(seed));
  if (wrong !== undefined) throw new ProxyError('ERR_BAD_REQUEST', wrong.problem, { hint: wrong.hint });
  reply(call, readFaults(call));
}

function isRules(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_RULES &&
    value.every((rule) => typeof rule === 'string' && rule.length <= MAX_RULE_LENGTH)
  );
}
