/** Endpoints of the inspector's API about one exchange. */
import type { HeaderPair } from '../http/message.ts';
import type { Exchange, KeptBody } from '../inspector/exchange.ts';
import { describeExchange } from '../inspector/views/describe-exchange.ts';
import { makeSnippet, SNIPPET_TARGETS, type SnippetTarget } from '../inspector/views/make-snippet.ts';
import { viewDiff } from '../inspector/views/view-diff.ts';
import { viewFrames } from '../inspector/views/view-frames.ts';
import { viewMessages } from '../inspector/views/view-messages.ts';
import type { LayerName, ReplayRequest } from '../inspector/wire.ts';
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonObject } from '../lib/json.ts';
import { type InspectorCall, readJsonObject, readNumber, reply, sendDownload } from './call.ts';
import { type InspectorEndpoint, requireExchange, serveExchange, summariseFor } from './endpoint.ts';
import { streamExchange } from './live.ts';
import type { InspectorOptions } from './options.ts';

const ONE = 'exchanges/{id}';
const DEFAULT_FRAMES = 500;
const MAX_FRAMES = 5_000;
const MAX_NOTE_LENGTH = 2_000;

/** Paths below `exchanges/{id}`. */
export const EXCHANGE_ENDPOINTS: readonly InspectorEndpoint[] = [
  {
    method: 'GET',
    path: ONE,
    summary: 'Everything about an exchange but bodies.',
    serve: serveExchange((exchange, call) =>
      reply(call, describeExchange(exchange, summariseFor(call.options, exchange))),
    ),
  },
  {
    method: 'PATCH',
    path: ONE,
    summary: 'Pins it, or notes something.',
    isChange: true,
    body: { pinned: 'boolean', note: 'string' },
    serve: serveExchange(mark),
  },
  {
    method: 'DELETE',
    path: ONE,
    summary: 'Removes it, pinned or not.',
    isChange: true,
    serve: serveExchange(({ id }, call) => reply(call, { removed: call.options.source.remove(id) })),
  },
  {
    method: 'GET',
    path: `${ONE}/body/{layer}`,
    summary: 'The bytes of a body, to be saved. Takes a range.',
    serve: serveExchange(sendBody),
  },
  {
    method: 'GET',
    path: `${ONE}/frames`,
    summary: 'Frames of its streams, each with its time.',
    query: ['from', 'limit'],
    serve: serveExchange((exchange, call) => {
      const from = readNumber(call.query, 'from') ?? 0;
      const limit = Math.min(readNumber(call.query, 'limit') ?? DEFAULT_FRAMES, MAX_FRAMES);
      reply(call, viewFrames(exchange, { from, limit }));
    }),
  },
  {
    method: 'GET',
    path: `${ONE}/messages`,
    summary: 'What request and response say, put together.',
    serve: serveExchange((exchange, call) => reply(call, viewMessages(exchange))),
  },
  {
    method: 'GET',
    path: `${ONE}/diff`,
    summary: 'How its request differs from another one, or from the one before in its conversation.',
    query: ['with'],
    serve: serveExchange(compare),
  },
  {
    method: 'GET',
    path: `${ONE}/snippet`,
    summary: `Its request as text to paste: ${SNIPPET_TARGETS.join(', ')}.`,
    query: ['as'],
    serve: serveExchange(sendSnippet),
  },
  {
    method: 'GET',
    path: `${ONE}/events`,
    summary: 'Its frames as they come, as server-sent events: frames, summary.',
    query: ['from'],
    serve: serveExchange(streamExchange),
  },
  {
    method: 'GET',
    path: `${ONE}/cache`,
    summary: 'What the cache doctor found; null: nothing.',
    serve: serveExchange(async ({ id }, call) => reply(call, (await call.options.findCacheTexts(id)) ?? null)),
  },
  {
    method: 'GET',
    path: `${ONE}/explain`,
    summary: 'Why it failed, and what to do; null: it is not known.',
    serve: serveExchange((exchange, call) => reply(call, call.options.explain(exchange) ?? null)),
  },
  {
    method: 'GET',
    path: `${ONE}/replay`,
    summary: 'Whether it can be sent again, by whose key, and what that costs.',
    serve: serveExchange(async (exchange, call) => reply(call, await requireReplay(call).offer(exchange, call.caller))),
  },
  {
    method: 'POST',
    path: `${ONE}/replay`,
    summary: 'Sends it again, as it was or edited, signed anew and charged to a key.',
    isChange: true,
    body: { key: 'string', edits: 'object', confirm: 'boolean' },
    serve: serveExchange(async (exchange, call) =>
      reply(call, await requireReplay(call).send(exchange, readReplay(await readJsonObject(call)), call.caller)),
    ),
  },
];

async function mark({ id }: Exchange, call: InspectorCall): Promise<void> {
  const { pinned, note } = await readJsonObject(call);
  const isMeant = (pinned === undefined || typeof pinned === 'boolean') && (note === undefined || isNote(note));
  if (!isMeant) throw new ProxyError('ERR_BAD_REQUEST', 'PATCH wants {"pinned": true or false, "note": text}.');
  const marks = { ...(pinned === undefined ? {} : { isPinned: pinned }), ...(note === undefined ? {} : { note }) };
  const marked = call.options.source.mark(id, marks);
  if (marked === undefined) throw new ProxyError('ERR_BAD_REQUEST', 'Rows of the ledger cannot be pinned.');
  reply(call, summariseFor(call.options, marked));
}

function isNote(note: unknown): note is string {
  return typeof note === 'string' && note.length <= MAX_NOTE_LENGTH;
}

async function compare(exchange: Exchange, call: InspectorCall): Promise<void> {
  const base = call.query.get('with') ?? exchange.conversation?.previous;
  if (base === undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', 'No request before it is known.', { hint: 'Name another one: ?with=ID.' });
  }
  reply(call, viewDiff(exchange, await requireExchange(call.options, base)));
}

function sendSnippet(exchange: Exchange, call: InspectorCall): void {
  const as = call.query.get('as') ?? 'curl';
  if (!isSnippetTarget(as)) throw new ProxyError('ERR_BAD_REQUEST', `as is one of ${SNIPPET_TARGETS.join(', ')}.`);
  const { text, note } = makeSnippet(exchange, as, { url: call.options.tellState().url });
  reply(call, { text, note: note ?? null });
}

function isSnippetTarget(as: string): as is SnippetTarget {
  return SNIPPET_TARGETS.some((known) => known === as);
}

function requireReplay({ options }: InspectorCall): NonNullable<InspectorOptions['replay']> {
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

function sendBody(exchange: Exchange, call: InspectorCall): void {
  const { layer } = call;
  const body = findBody(exchange, layer)?.read();
  if (body === undefined) throw new ProxyError('ERR_UNKNOWN_PATH', 'Nothing is kept of this body.');
  sendDownload(call, { name: `${exchange.id}-${layer}.bin`, contentType: 'application/octet-stream', body });
}
