/**
 * A call of the inspector's API: what is read of its request, and how it is responded to. Responses are JSON or a
 * download, with the headers that keep a browser from doing anything else with them.
 */
import { readBody } from '../http/body.ts';
import { type ClientRequest, type ClientResponse, findHeader, type HeaderPair } from '../http/message.ts';
import { sendJson, sendResponse } from '../http/send-response.ts';
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonExtent, type JsonObject, measureJson } from '../lib/json.ts';
import type { ExportedFile, InspectorCaller, InspectorOptions } from './options.ts';
import { GUARD_HEADERS } from './page-files.ts';

/** A replay may bring a whole request. */
const BODY_LIMITS = { maxSizeBytes: 32 * 1024 * 1024, idleTimeoutMs: 30_000 };
/** What it brings is one string. */
const MAX_EXTENT: JsonExtent = { depth: 20, values: 10_000 };

/** Its caller is known. */
export interface InspectorCall {
  readonly options: InspectorOptions;
  readonly caller: InspectorCaller;
  readonly clientRequest: ClientRequest;
  readonly clientResponse: ClientResponse;
  readonly query: URLSearchParams;
  /** What stands in the place of `{id}` and `{layer}` in the path; '' if there is no such place. */
  readonly id: string;
  readonly layer: string;
}

/** A whole number of the query; undefined: it is not there. Throws ERR_BAD_REQUEST. */
export function readNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ProxyError('ERR_BAD_REQUEST', `${name} is a whole number.`);
}

/** The JSON object of a request, which no form and no link can send. Throws ERR_BAD_REQUEST. */
export async function readJsonObject(call: InspectorCall): Promise<JsonObject> {
  requireJson(call);
  const { chunks } = await readBody(call.clientRequest, BODY_LIMITS);
  const bytes = Buffer.concat(chunks);
  const { depth, values } = measureJson(bytes);
  if (depth <= MAX_EXTENT.depth && values <= MAX_EXTENT.values) {
    try {
      const value: unknown = JSON.parse(bytes.toString('utf8'));
      if (isObject(value)) return value;
    } catch {
      // Told below.
    }
  }
  throw new ProxyError('ERR_BAD_REQUEST', 'The body must be a JSON object.');
}

/** Throws ERR_BAD_REQUEST. */
export function requireJson({ clientRequest }: Pick<InspectorCall, 'clientRequest'>): void {
  const type = findHeader(clientRequest.headers, 'content-type') ?? '';
  if (/^application\/json\s*(?:;|$)/i.test(type)) return;
  throw new ProxyError('ERR_BAD_REQUEST', 'This wants `content-type: application/json`.');
}

/** Sends JSON. */
export function reply({ clientResponse }: Pick<InspectorCall, 'clientResponse'>, value: unknown): void {
  sendJson(200, value, clientResponse, GUARD_HEADERS);
}

/** Sends a file to be saved, never to be shown; one range of it, if that is asked for. */
export function sendDownload(
  { clientRequest, clientResponse }: Pick<InspectorCall, 'clientRequest' | 'clientResponse'>,
  { name, contentType, body }: ExportedFile,
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

/** That there is no such path. */
export function noSuchPath(): ProxyError {
  return new ProxyError('ERR_UNKNOWN_PATH', 'The inspector has nothing at this path.');
}

/** Sends an error in the envelope of the admin API. Never throws. */
export function sendApiError(
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
