/**
 * Exchanges as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): what the client sent and got. What HAR has
 * no place for stands beside it in members that begin with `_`, as the format asks: the request that was signed,
 * frames with their times, the row of the ledger. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { STATUS_CODES } from 'node:http';
import type { Content, Entry, Header, PostData, QueryString, Request, Response } from 'har-format';
import { rowToJson } from '../domain/ledger-columns.ts';
import type { HeaderPair } from '../http/message.ts';
import { splitQuery } from '../http/target.ts';
import type { Exchange, KeptBody, KeptMessage } from './exchange.ts';
import { bodyOf, contentTypeOf } from './views/kept-body.ts';
import { viewFrames } from './views/view-frames.ts';
import type { ExportHead } from './export-head.ts';
import type { FrameView } from './wire.ts';

/** So many frames are read at a time. */
const PAGE_FRAMES = 10_000;

/** The text of a HAR file, piece by piece: a file may be larger than a text can be. */
export function* exportHar(exchanges: Iterable<Exchange>, head: ExportHead): Generator<string, void> {
  const creator = { name: 'bedrock-proxy', version: head.version };
  const comment = describeHead(head);
  yield `{"log":{"version":"1.2","creator":${JSON.stringify(creator)},"comment":${JSON.stringify(comment)},"entries":[`;
  let separator = '';
  for (const exchange of exchanges) {
    yield `${separator}\n${JSON.stringify(toEntry(exchange))}`;
    separator = ',';
  }
  yield '\n]}}\n';
}

function describeHead({ exportedAtMs, isSanitized, dropped }: ExportHead): string {
  const kept = isSanitized ? 'Sanitized: texts are replaced by their length.' : 'Not sanitized: contains prompts.';
  const lost = Object.entries(dropped).map(([why, count]) => `${count} (${why})`);
  const drops = lost.length === 0 ? '' : ` Content that was not kept: ${lost.join(', ')}.`;
  return `Exported ${new Date(exportedAtMs).toISOString()}. Credentials are masked. ${kept}${drops}`;
}

/** One exchange. */
function toEntry(exchange: Exchange): Entry & Readonly<Record<`_${string}`, unknown>> {
  const { row, layers, times, signing } = exchange;
  const timings = toTimings(exchange);
  const time = timings.blocked + timings.send + timings.wait + timings.receive;
  const { protocol, frames } = readFrames(exchange);
  return {
    startedDateTime: new Date(row.startedAtMs).toISOString(),
    time,
    request: toRequest(layers.clientRequest, bodyOf(exchange, 'clientRequest')),
    response: toResponse(layers.clientResponse ?? layers.upstreamResponse, bodyOf(exchange, 'clientResponse')),
    cache: {},
    timings,
    comment: describeExchangeEnd(exchange),
    _id: exchange.id,
    _end: exchange.end,
    _row: rowToJson(row),
    _times: times,
    ...(signing === undefined ? {} : { _signing: signing }),
    ...(layers.signedRequest === undefined ? {} : { _signedRequest: toRequest(layers.signedRequest, undefined) }),
    ...toFrameMembers(frames, protocol, row.startedAtMs),
  };
}

function describeExchangeEnd({ end, omitted, failedAttempts, layers }: Exchange): string {
  const notes = [
    ...(end === 'complete' ? [] : [`The response ended: ${end}.`]),
    ...(omitted === undefined ? [] : [`Content is not kept: ${omitted}.`]),
    ...failedAttempts.map((attempt) => `An attempt before failed: ${attempt}.`),
    ...(layers.clientResponse === undefined ? ['The client got no response.'] : []),
  ];
  return notes.join(' ');
}

/** Without overlap, as HAR wants them; -1 for what did not happen. */
function toTimings({ times, row }: Exchange): Record<'blocked' | 'send' | 'wait' | 'receive', number> {
  const { signedMs, sentMs, headMs, firstByteMs, lastByteMs, endedMs } = times;
  const end = endedMs ?? row.totalMs ?? 0;
  const sent = sentMs ?? signedMs;
  if (sent === undefined) return { blocked: end, send: 0, wait: 0, receive: 0 };
  const first = firstByteMs ?? headMs ?? end;
  const last = Math.max(first, lastByteMs ?? first);
  return { blocked: sent, send: 0, wait: Math.max(0, first - sent), receive: last - first };
}

function toRequest(message: KeptMessage | undefined, body: KeptBody | undefined): Request {
  const { method = 'GET', authority = '', target = '/', httpVersion = '1.1', headers = [] } = message ?? {};
  const [, query = ''] = /\?(.*)$/s.exec(target) ?? [];
  const postData = body && body.sizeBytes > 0 ? toPostData(message, body) : undefined;
  return {
    method,
    url: /^[a-z]+:\/\//i.test(target)
      ? target
      : `${authority.includes('amazonaws.') ? 'https' : 'http'}://${authority}${target}`,
    httpVersion: `HTTP/${httpVersion}`,
    cookies: [],
    headers: toHeaders(headers),
    queryString: toQuery(query),
    headersSize: -1,
    bodySize: body?.sizeBytes ?? -1,
    ...(postData === undefined ? {} : { postData }),
  };
}

function toPostData(message: KeptMessage | undefined, body: KeptBody): PostData & { readonly _encoding?: 'base64' } {
  const { text, encoding } = toText(body);
  return {
    mimeType: contentTypeOf(message),
    text,
    // HAR has an encoding for responses only.
    ...(encoding === undefined ? {} : { _encoding: encoding }),
    ...describeHole(body),
  };
}

function toResponse(message: KeptMessage | undefined, body: KeptBody | undefined): Response {
  const { status = 0, httpVersion = '1.1', headers = [] } = message ?? {};
  return {
    status,
    statusText: STATUS_CODES[status] ?? '',
    httpVersion: `HTTP/${httpVersion}`,
    cookies: [],
    headers: toHeaders(headers),
    content: toContent(message, body),
    redirectURL: '',
    headersSize: -1,
    bodySize: body?.sizeBytes ?? -1,
  };
}

function toContent(message: KeptMessage | undefined, body: KeptBody | undefined): Content {
  const mimeType = contentTypeOf(message);
  if (body === undefined) return { size: 0, mimeType };
  const { text, encoding } = toText(body);
  return { size: body.sizeBytes, mimeType, text, ...(encoding && { encoding }), ...describeHole(body) };
}

function toText(body: KeptBody): { readonly text: string; readonly encoding: 'base64' | undefined } {
  const bytes = body.read();
  if (isUtf8(bytes)) return { text: bytes.toString(), encoding: undefined };
  return { text: bytes.toString('base64'), encoding: 'base64' };
}

function describeHole({ hole }: KeptBody): { readonly comment?: string } {
  if (hole === undefined) return {};
  return { comment: `${hole.sizeBytes} bytes from ${hole.at} on are not kept (${hole.why}).` };
}

function toHeaders(headers: readonly HeaderPair[]): Header[] {
  return headers.map(([name, value]) => ({ name, value }));
}

function toQuery(query: string): QueryString[] {
  if (query === '') return [];
  return splitQuery(query).map(([name, value]) => ({ name, value: value ?? '' }));
}

/** All of them, whatever their number. */
export function readFrames(exchange: Exchange): { readonly protocol: string; readonly frames: readonly FrameView[] } {
  const frames: FrameView[] = [];
  for (let from = 0; ;) {
    const { protocol, items, next } = viewFrames(exchange, { from, limit: PAGE_FRAMES });
    frames.push(...items);
    if (next === null || next <= from) return { protocol, frames };
    from = next;
  }
}

/** As browsers have them where they have: times in seconds since 1970. Pieces without a meaning are left out. */
function toFrameMembers(
  frames: readonly FrameView[],
  protocol: string,
  startedAtMs: number,
): Readonly<Record<`_${string}`, unknown>> {
  const timeOf = ({ at_ms: atMs }: FrameView): number => (startedAtMs + atMs) / 1000;
  switch (protocol) {
    case 'aws-event-stream':
      return {
        _frames: frames.map((frame) => ({
          time: frame.at_ms,
          direction: frame.direction,
          type: frame.type,
          size: frame.size_bytes,
          crc: frame.crc,
          data: frame.payload,
        })),
      };
    case 'sse':
      return {
        _eventSourceMessages: frames.map((frame) => ({
          time: timeOf(frame),
          eventName: frame.type,
          data: printPayload(frame.payload),
        })),
      };
    case 'websocket':
      return {
        _webSocketMessages: frames.map((frame) => ({
          type: frame.direction === 'out' ? 'send' : 'receive',
          time: timeOf(frame),
          opcode: frame.type === 'binary' ? 2 : 1,
          data: printPayload(frame.payload),
        })),
      };
    default:
      return {};
  }
}

function printPayload(payload: FrameView['payload']): string {
  if ('text' in payload) return payload.text;
  return 'json' in payload ? JSON.stringify(payload.json) : payload.base64;
}
