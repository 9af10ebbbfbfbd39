/**
 * Serves `/inspect/`: the files of the page to everybody, and the API to whoever shows the token. Beside the way, not
 * on it. Errors have the envelope of the admin API.
 */
import { readBody } from '../http/body.ts';
import { type ClientRequest, type ClientResponse, findHeader, type HeaderPair } from '../http/message.ts';
import { sendJson, sendResponse } from '../http/send-response.ts';
import type { Exchange, ExchangeChange, KeptBody } from '../inspector/exchange.ts';
import { describeExchange } from '../inspector/views/describe-exchange.ts';
import { summarise } from '../inspector/views/summarise.ts';
import { viewFrames } from '../inspector/views/view-frames.ts';
import { viewMessages } from '../inspector/views/view-messages.ts';
import type { ExchangeList, ExchangeSummary, InspectorState, LayerName, ReplayRequest } from '../inspector/wire.ts';
import { readRecordFilter } from '../filter/record-filter.ts';
import { isObject, type JsonObject } from '../lib/json.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { exactUsd } from '../lib/usd.ts';
import { admitInspector, type InspectorCaller, requireChanger } from './access.ts';
import { EventStream } from './events.ts';
import type { ExportFormat, InspectorHandler, InspectorOptions } from './options.ts';
import { GUARD_HEADERS, sendPageFile } from './page-files.ts';

const PAGE = '/inspect/';
const API = '/inspect/api/v1/';
const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1_000;
const BODY_LIMITS = { maxSizeBytes: 32 * 1024 * 1024, idleTimeoutMs: 30_000 };
/** A page takes no more. */
const UPDATE_MS = 100;
/** Exchanges that an export holds at most. */
const MAX_EXPORTED = 20_000;

/** A call of the API whose caller is known. */
interface Call {
  readonly options: InspectorOptions;
  readonly caller: InspectorCaller;
  readonly clientRequest: ClientRequest;
  readonly clientResponse: ClientResponse;
  readonly query: URLSearchParams;
}

/** Makes the handler of everything below `/inspect`. */
export function createInspectorHandler(options: InspectorOptions): InspectorHandler {
  return async (clientRequest, clientResponse) => {
    const { method, target } = clientRequest;
    const { path } = target;
    try {
      if (path === '/inspect') return redirect(clientResponse);
      const isRead = method === 'GET' || method === 'HEAD';
      if (isRead && path.startsWith(PAGE) && sendPageFile(path.slice(PAGE.length), method === 'HEAD', clientResponse)) {
        return;
      }
      const caller = await admitInspector(clientRequest, options);
      const query = new URLSearchParams(target.query ?? '');
      await serve({ options, caller, clientRequest, clientResponse, query });
    } catch (thrown) {
      sendFailure(toProxyError(thrown), clientResponse);
    }
  };
}

function redirect(clientResponse: ClientResponse): void {
  const headers: HeaderPair[] = [['location', PAGE], ['content-length', '0'], ...GUARD_HEADERS];
  sendResponse({ status: 308, headers, body: Buffer.alloc(0) }, clientResponse);
}

async function serve(call: Call): Promise<void> {
  const { method, target } = call.clientRequest;
  if (!target.path.startsWith(API)) throw unknownPath();
  const [first = '', id = '', ...rest] = target.path.slice(API.length).split('/');
  const what = rest.join('/');
  if (first === 'exchanges' && id !== '') return serveExchange(call, id, what);
  const served = COLLECTION[`${method} ${first}`];
  if (served === undefined || id !== '') throw unknownPath();
  await served(call);
}

/** By method and the first part of the path. */
const COLLECTION: Readonly<Record<string, (call: Call) => Promise<void> | void>> = {
  'GET state': (call) => reply(call, tellState(call)),
  'PUT capture': setCapture,
  'GET exchanges': listExchanges,
  'DELETE exchanges': (call) => {
    requireJson(call);
    requireChanger(call.caller, call.options);
    reply(call, { removed: call.options.source.remove() });
  },
  'GET events': streamChanges,
  'GET export': exportExchanges,
};

function tellState({ options, caller }: Pick<Call, 'options' | 'caller'>): InspectorState {
  const { kind, exchanges, maxExchanges, bytes, maxBytes, dropped } = options.source.state();
  const { capture } = options;
  const isMaster = caller === 'master';
  const until = capture?.untilMs;
  return {
    ...options.tellState(),
    kept: kind,
    is_capturing: capture?.isOn ?? (kind === 'memory' || kind === 'file'),
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

async function setCapture(call: Call): Promise<void> {
  const { options, caller } = call;
  requireChanger(caller, options);
  const { on, minutes } = await readObject(call);
  if (typeof on !== 'boolean' || !(minutes === undefined || isMinutes(minutes))) {
    throw new ProxyError('ERR_BAD_REQUEST', 'PUT capture wants {"on": true or false, "minutes": 1 to 1440}.');
  }
  if (options.capture === undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', 'What is kept here is decided when the proxy starts.');
  }
  options.capture.set(on, minutes);
  reply(call, tellState(call));
}

function isMinutes(value: unknown): value is number {
  return typeof value === 'number' && value >= 1 && value <= 1440;
}

function findFilter({ options, query }: Call): ((exchange: Exchange) => boolean) | undefined {
  const text = query.get('filter') ?? '';
  if (text.trim() === '') return undefined;
  const filter = readRecordFilter(text, options.nowMs());
  if (!('problem' in filter)) return ({ row }) => filter.matches(row);
  throw new ProxyError('ERR_BAD_REQUEST', filter.problem, { hint: filter.hint });
}

async function listExchanges(call: Call): Promise<void> {
  const { options, query } = call;
  const limit = Math.min(readNumber(query, 'limit') ?? DEFAULT_LIMIT, MAX_LIMIT);
  const { cursor } = options.source;
  const matches = findFilter(call);
  const { items, next, scanned } = await options.source.list({ matches, before: readNumber(query, 'before'), limit });
  const list: ExchangeList = {
    items: items.map((exchange) => summariseFor(options, exchange)),
    cursor,
    next: next ?? null,
    scanned,
    totals: addUp(items),
  };
  reply(call, list);
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

function summariseFor({ findCache, explain }: InspectorOptions, exchange: Exchange): ExchangeSummary {
  return summarise(exchange, { cache: findCache(exchange.id), explanation: explain(exchange) });
}

function streamChanges(call: Call): void {
  const { options, query } = call;
  const { source } = options;
  const matches = findFilter(call);
  const stream = new EventStream(call.clientRequest, call.clientResponse);
  const waiting = new Map<string, ExchangeChange>();
  const after = readNumber(query, 'after') ?? source.cursor;
  const missed = source.changesAfter(after);
  if (missed === undefined) stream.send({ event: 'reset', cursor: source.cursor });
  for (const change of missed ?? []) waiting.set(change.id, change);
  stream.send({ event: 'state', state: tellState(call) });
  let isSending = false;
  const flush = async (): Promise<void> => {
    if (isSending || waiting.size === 0) return;
    isSending = true;
    const changes = [...waiting.values()];
    waiting.clear();
    for (const change of changes) {
      const exchange = change.kind === 'remove' ? undefined : await source.find(change.id);
      if (stream.isOver) return;
      if (exchange === undefined || matches?.(exchange) === false) {
        stream.send({ event: 'remove', cursor: change.cursor, id: change.id });
      } else stream.send({ event: 'upsert', cursor: change.cursor, exchange: summariseFor(options, exchange) });
    }
    stream.send({ event: 'state', state: tellState(call) });
    isSending = false;
  };
  const timer = setInterval(() => void flush().catch(() => stream.close()), UPDATE_MS);
  const unwatch = source.watch((change) => waiting.set(change.id, change));
  stream.onClose(() => {
    clearInterval(timer);
    unwatch();
  });
}

async function exportExchanges(call: Call): Promise<void> {
  const { options, query } = call;
  const format = query.get('format') ?? 'ndjson';
  if (!isFormat(format)) throw new ProxyError('ERR_BAD_REQUEST', 'format is har, html or ndjson.');
  const id = query.get('id');
  const one = id === null ? undefined : await requireExchange(options, id);
  const exchanges =
    one === undefined
      ? (await options.source.list({ matches: findFilter(call), before: undefined, limit: MAX_EXPORTED })).items
      : [one];
  const { name, contentType, body } = await options.exportAs(format, exchanges, query.get('sanitize') !== '0');
  sendFile(call, { name, contentType, body });
}

function isFormat(format: string): format is ExportFormat {
  return format === 'har' || format === 'html' || format === 'ndjson';
}

async function serveExchange(call: Call, id: string, what: string): Promise<void> {
  const { options, clientRequest } = call;
  const exchange = await requireExchange(options, id);
  const [name = '', layer = ''] = what.split('/');
  const served = ONE[`${clientRequest.method} ${name}`];
  if (served === undefined) throw unknownPath();
  await served(call, exchange, layer);
}

async function requireExchange({ source }: InspectorOptions, id: string): Promise<Exchange> {
  const exchange = await source.find(id);
  if (exchange !== undefined) return exchange;
  throw new ProxyError('ERR_UNKNOWN_PATH', 'There is no exchange of this id.', {
    hint: 'It may have made room for younger ones: `--inspect-limit` says how many are kept.',
  });
}

type ServeOne = (call: Call, exchange: Exchange, layer: string) => Promise<void> | void;

/** By method and what of an exchange is asked for. */
const ONE: Readonly<Record<string, ServeOne>> = {
  'GET ': (call, exchange) => reply(call, describeExchange(exchange, summariseFor(call.options, exchange))),
  'PATCH ': async (call, { id }) => {
    requireChanger(call.caller, call.options);
    const { pinned, note } = await readObject(call);
    const isMeant = (pinned === undefined || typeof pinned === 'boolean') && (note === undefined || isNote(note));
    if (!isMeant) throw new ProxyError('ERR_BAD_REQUEST', 'PATCH wants {"pinned": true or false, "note": text}.');
    const marks = { ...(pinned === undefined ? {} : { isPinned: pinned }), ...(note === undefined ? {} : { note }) };
    const marked = call.options.source.mark(id, marks);
    if (marked === undefined) throw new ProxyError('ERR_BAD_REQUEST', 'Rows of the ledger cannot be pinned.');
    reply(call, summariseFor(call.options, marked));
  },
  'DELETE ': (call, { id }) => {
    requireJson(call);
    requireChanger(call.caller, call.options);
    reply(call, { removed: call.options.source.remove(id) });
  },
  'GET frames': (call, exchange) => {
    const from = readNumber(call.query, 'from') ?? 0;
    const limit = Math.min(readNumber(call.query, 'limit') ?? 500, 5_000);
    reply(call, viewFrames(exchange, { from, limit }));
  },
  'GET messages': (call, exchange) => reply(call, viewMessages(exchange)),
  'GET body': sendBody,
  'GET events': streamExchange,
  'GET cache': async (call, { id }) => reply(call, (await call.options.findCacheTexts(id)) ?? null),
  'GET explain': (call, exchange) => reply(call, call.options.explain(exchange) ?? null),
  'GET replay': async (call, exchange) => reply(call, await requireReplay(call).offer(exchange)),
  'POST replay': async (call, exchange) => {
    const replay = requireReplay(call);
    requireChanger(call.caller, call.options);
    reply(call, await replay.send(exchange, readReplay(await readObject(call))));
  },
};

function isNote(note: unknown): note is string {
  return typeof note === 'string' && note.length <= 2_000;
}

function requireReplay({ options }: Call): NonNullable<InspectorOptions['replay']> {
  if (options.replay !== undefined) return options.replay;
  throw new ProxyError('ERR_BAD_REQUEST', 'Nothing can be replayed here.');
}

function readReplay({ key, edits, confirm }: JsonObject): ReplayRequest {
  const wrong = new ProxyError(
    'ERR_BAD_REQUEST',
    'POST replay wants {"key", "edits": {target, headers, body}, "confirm"}.',
  );
  if (typeof key !== 'string' || !(confirm === undefined || typeof confirm === 'boolean')) throw wrong;
  const isConfirmed = confirm === true ? { confirm } : {};
  if (edits === undefined) return { key, ...isConfirmed };
  if (!isObject(edits)) throw wrong;
  const { target, headers, body } = edits;
  if (!(target === undefined || typeof target === 'string') || !(body === undefined || typeof body === 'string'))
    throw wrong;
  if (!(headers === undefined || isHeaderList(headers))) throw wrong;
  return {
    key,
    ...isConfirmed,
    edits: {
      ...(target === undefined ? {} : { target }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
    },
  };
}

function isHeaderList(value: unknown): value is HeaderPair[] {
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string'))
  );
}

/** By their names in paths. */
function findBody({ layers, clientStream }: Exchange, layer: string): KeptBody | undefined {
  const named: Readonly<Record<LayerName, KeptBody | undefined>> = {
    client_request: layers.clientRequest?.body,
    signed_request: layers.signedRequest?.body ?? layers.clientRequest?.body,
    upstream_response: layers.upstreamResponse?.body,
    client_response: layers.clientResponse?.body ?? layers.upstreamResponse?.body,
    client_stream: clientStream,
  };
  return Object.hasOwn(named, layer) ? named[layer as LayerName] : undefined;
}

function sendBody(call: Call, exchange: Exchange, layer: string): void {
  const body = findBody(exchange, layer)?.read();
  if (body === undefined) throw new ProxyError('ERR_UNKNOWN_PATH', 'Nothing is kept of this body.');
  sendFile(call, { name: `${exchange.id}-${layer}.bin`, contentType: 'application/octet-stream', body });
}

function sendFile(
  { clientRequest, clientResponse }: Call,
  { name, contentType, body }: { readonly name: string; readonly contentType: string; readonly body: Buffer },
): void {
  const range = findRange(findHeader(clientRequest.headers, 'range'), body.length);
  const part = range === undefined ? body : body.subarray(range[0], range[1] + 1);
  const headers: HeaderPair[] = [
    ['content-type', contentType],
    ['content-length', String(part.length)],
    ['content-disposition', `attachment; filename="${name.replaceAll(/[^\w.-]/g, '_')}"`],
    ['accept-ranges', 'bytes'],
    ['cache-control', 'no-store'],
    ...GUARD_HEADERS,
  ];
  if (range !== undefined) headers.push(['content-range', `bytes ${range[0]}-${range[1]}/${body.length}`]);
  sendResponse({ status: range === undefined ? 200 : 206, headers, body: part }, clientResponse);
}

/** One range in bytes (RFC 9110, section 14.1.2); anything else is ignored, as a server may. */
function findRange(header: string | undefined, size: number): readonly [number, number] | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  return first <= last ? [first, last] : undefined;
}

/** Frames of one exchange, as they come. */
function streamExchange(call: Call, { id }: Exchange): void {
  const { options, query } = call;
  const stream = new EventStream(call.clientRequest, call.clientResponse);
  let from = readNumber(query, 'from') ?? 0;
  let state: string | undefined;
  const flush = async (): Promise<void> => {
    const exchange = await options.source.find(id);
    if (exchange === undefined || stream.isOver) return stream.close();
    for (let isMore = true; isMore;) {
      const { items, total, next } = viewFrames(exchange, { from, limit: 500 });
      if (items.length > 0) stream.send({ event: 'frames', frames: items, total });
      from += items.length;
      isMore = next !== null && items.length > 0;
    }
    if (exchange.end === state && exchange.end === 'open') return;
    state = exchange.end;
    stream.send({ event: 'summary', exchange: summariseFor(options, exchange) });
    if (exchange.end !== 'open') stream.close();
  };
  const run = (): void => void flush().catch(() => stream.close());
  const timer = setInterval(run, UPDATE_MS);
  stream.onClose(() => clearInterval(timer));
  run();
}

function readNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ProxyError('ERR_BAD_REQUEST', `${name} is a whole number.`);
}

/** No form and no link can send it. */
function requireJson({ clientRequest }: Call): void {
  const type = findHeader(clientRequest.headers, 'content-type') ?? '';
  if (/^application\/json\s*(?:;|$)/i.test(type)) return;
  throw new ProxyError('ERR_BAD_REQUEST', 'This wants `content-type: application/json`.');
}

async function readObject(call: Call): Promise<JsonObject> {
  requireJson(call);
  const { chunks } = await readBody(call.clientRequest, BODY_LIMITS);
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (isObject(value)) return value;
  } catch {
    // Told below.
  }
  throw new ProxyError('ERR_BAD_REQUEST', 'The body must be a JSON object.');
}

function reply({ clientResponse }: Call, value: unknown): void {
  sendJson(200, value, clientResponse, GUARD_HEADERS);
}

function unknownPath(): ProxyError {
  return new ProxyError('ERR_UNKNOWN_PATH', 'The inspector has nothing at this path.');
}

/** The envelope of the admin API. */
function sendFailure(
  { message, hint, code, status, retryAfterSeconds }: ProxyError,
  clientResponse: ClientResponse,
): void {
  try {
    if (clientResponse.headersSent) return clientResponse.breakOff();
    const error = {
      message: hint === undefined ? message : `${message} ${hint}`,
      type: code,
      param: null,
      code: String(status),
    };
    const headers: HeaderPair[] = [['x-bedrock-proxy-error', code], ...GUARD_HEADERS];
    if (retryAfterSeconds !== undefined) headers.push(['retry-after', String(retryAfterSeconds)]);
    sendJson(status, { error }, clientResponse, headers);
  } catch {
    clientResponse.breakOff();
  }
}
