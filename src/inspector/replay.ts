/**
 * An exchange sent once more: the request as it came, or edited, on its way through the proxy like any other. Who is
 * charged is said by whoever replays; what belongs to one sending alone (credentials, signature, date, length, the
 * retry counters of SDKs) is made anew or left out.
 */
import { Readable, Writable } from 'node:stream';
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';
import { parseTarget } from '../http/target.ts';
import { ProxyError } from '../lib/errors.ts';
import { findFacts } from '../operations/find-facts.ts';
import { parseCredentialScope } from '../protocol/sigv4/scope.ts';
import type { Exchange } from './exchange.ts';
import { MASKED } from './masks.ts';
import { findKind } from './views/summarise.ts';
import type { ReplayRequest } from './wire.ts';

/** Of one sending alone, or of the connection that it came on. */
const MADE_ANEW = new RegExp(
  [
    '^(?:host|content-length|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|via|forwarded',
    'x-forwarded-.*|amz-sdk-.*|x-amz-(?:date|content-sha256|security-token|user-agent)|x-stainless-retry-count',
    'traceparent|tracestate|x-bedrock-proxy-(?!region$).*)$',
  ].join('|'),
  'i',
);
/** Of a presigned URL. */
const SIGNATURE_PARAMETER = /^x-amz-(?:algorithm|credential|date|expires|security-token|signature|signedheaders)=/i;

/** What a request of the proxy's own is known by on its way. */
export type ReplayMark = NonNullable<ClientRequest['replay']>;

/** Why an exchange cannot be sent again; undefined if it can. */
export function findReplayRefusal({ layers, omitted, clientStream, row }: Exchange): string | undefined {
  if (omitted !== undefined) return 'Its content is not kept.';
  const { clientRequest } = layers;
  if (clientRequest?.target === undefined || clientRequest.method === undefined) return 'Its request is not kept.';
  if (clientStream !== undefined || row.status === 101)
    return 'Its client sent more after its request: that is no request to repeat.';
  if (clientRequest.body === undefined) return 'Its body is not kept: it was refused before it came.';
  if (clientRequest.body.hole !== undefined) return 'Its body is not kept as a whole.';
  return undefined;
}

/** Whether it is more than a call of a model, or edits may make it that: it may create, change or delete at AWS. */
export function needsConfirmation(exchange: Exchange, edits: ReplayRequest['edits'] = {}): boolean {
  if (becomesAnother(exchange, edits)) return true;
  const { service, operation } = exchange.row;
  if (exchange.layers.clientRequest?.method === 'GET') return false;
  if (findKind(exchange) !== 'model' || service === undefined) return true;
  return !findFacts(service, operation).isRepeatable;
}

/** Whether edits name another operation: another path, but for the model in it, or another `x-amz-target`. */
function becomesAnother({ layers }: Exchange, { target, headers }: NonNullable<ReplayRequest['edits']>): boolean {
  const kept = layers.clientRequest;
  if (target !== undefined && shapeOf(target) !== shapeOf(kept?.target)) return true;
  return headers !== undefined && operationIn(headers) !== operationIn(kept?.headers);
}

function shapeOf(target = ''): string {
  return (target.split('?')[0] ?? '').replace(/\/model\/[^/]+\//, '/model/*/');
}

function operationIn(headers: readonly HeaderPair[] = []): string {
  return JSON.stringify(headers.flatMap(([name, value]) => (name.toLowerCase() === 'x-amz-target' ? [value] : [])));
}

/** The request to send. Throws ERR_BAD_REQUEST if it cannot be sent, or the edits are no request. */
export function makeReplay(
  exchange: Exchange,
  { edits = {} }: Pick<ReplayRequest, 'edits'>,
  { mark, signal }: { readonly mark: Omit<ReplayMark, 'isEdited' | 'scope'>; readonly signal: AbortSignal },
): ClientRequest {
  const refusal = findReplayRefusal(exchange);
  const kept = exchange.layers.clientRequest;
  if (refusal !== undefined || kept?.target === undefined || kept.method === undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', `It cannot be replayed: ${refusal ?? 'its request is not kept.'}`);
  }
  const target = edits.target ?? kept.target;
  const named = edits.headers ?? kept.headers;
  const headers = named.filter(isKept);
  refuseHeaders(headers);
  if (!/^\/[\x21-\x7e]*$/.test(target)) {
    throw new ProxyError('ERR_BAD_REQUEST', 'The path must begin with a slash, and be percent-encoded.');
  }
  const body = edits.body === undefined ? (kept.body?.read() ?? Buffer.alloc(0)) : Buffer.from(edits.body);
  return {
    method: kept.method,
    target: parseTarget(withoutSignature(target)),
    headers: [...headers, ['content-length', String(body.length)]],
    authority: kept.authority,
    httpVersion: '1.1',
    peerAddress: '127.0.0.1',
    openBody: () => Readable.from(body.length === 0 ? [] : [body]),
    upgrade: undefined,
    signal,
    cut: () => {},
    replay: {
      ...mark,
      isEdited: Object.keys(edits).length > 0,
      // Its signature is not sent again, but says where it wanted to go.
      scope: parseCredentialScope(kept.headers, parseTarget(kept.target).query),
    },
  };
}

/** Takes the response, which is kept on its way here, and hands it to nobody. */
export function discardResponse(): ClientResponse {
  let headersSent = false;
  return {
    get headersSent() {
      return headersSent;
    },
    start: () => {
      headersSent = true;
      return new Writable({ write: (_chunk, _encoding, done) => done() });
    },
    dropRequestBody: () => {},
    breakOff: () => {},
  };
}

/** A masked value would go to AWS as it stands. */
function isKept([name, value]: HeaderPair): boolean {
  return !MADE_ANEW.test(name) && !value.includes(MASKED);
}

function refuseHeaders(headers: readonly HeaderPair[]): void {
  const wrong = headers.find(
    ([name, value]) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value),
  );
  if (wrong === undefined) return;
  throw new ProxyError('ERR_BAD_REQUEST', `The header ${JSON.stringify(wrong[0].slice(0, 60))} is none of HTTP.`);
}

function withoutSignature(target: string): string {
  const at = target.indexOf('?');
  if (at === -1) return target;
  const kept = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => !SIGNATURE_PARAMETER.test(pair) && !pair.includes(MASKED));
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join('&')}`;
}
