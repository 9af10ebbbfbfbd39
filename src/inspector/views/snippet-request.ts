/** What a request is to the snippets that make it again: its address, its headers and its body. Pure. */
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { isObject, type JsonObject } from '../../lib/json.ts';
import { findService, type Operation, OPERATIONS, SERVICES } from '../../operations/catalog.ts';
import type { Exchange } from '../exchange.ts';
import { MASKED } from '../masks.ts';
import { bodyOf } from './kept-body.ts';
import { readJson } from './payload.ts';

/** Text to paste; without any, the note says why. */
export interface Snippet {
  readonly text: string;
  readonly note?: string;
}

/** A request that can be made again. */
export interface SnippetRequest {
  readonly method: string;
  /** Where the proxy serves it, mount included, without a slash at its end. */
  readonly endpoint: string;
  /** Raw, below the mount, as the client sent it; without what a signature puts into it. */
  readonly target: string;
  /** As it went to AWS; undefined if it did not. */
  readonly direct: { readonly authority: string; readonly target: string; readonly signingName: string } | undefined;
  readonly service: string;
  readonly region: string;
  /** What the table knows of the operation, if an AWS SDK models it. */
  readonly operation: Operation | undefined;
  /** Those that a client means, in lower case; neither credentials nor what a client makes anew. */
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
  readonly json: JsonObject | undefined;
}

/** Made anew by whoever sends, or worth something to a thief. */
const LEFT_OUT =
  /^(?:authorization|host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|user-agent|cookie|origin|referer|forwarded|via|priority|traceparent|tracestate|baggage|x-api-key|api-key|litellm_user_api_key|x-litellm-.*|x-goog-api-key|proxy-.*|sec-.*|x-forwarded-.*|x-real-ip|x-amz-(?:date|security-token|content-sha256|user-agent|signature|credential|algorithm|expires|signedheaders)|amz-sdk-.*|x-amzn-trace-id|x-stainless-.*|x-bedrock-proxy-.*)$/;
/** In a query: what a signature puts there, and keys. */
const SIGNING_PARAMETERS =
  /^(?:x-amz-(?:algorithm|credential|date|expires|security-token|signature|signedheaders|content-sha256)|key|api[-_]?key)(?:=|$)/i;

/** The request of an exchange; or why it cannot be made again. `url`: of the proxy. */
export function readSnippetRequest(exchange: Exchange, url: string): SnippetRequest | { readonly problem: string } {
  const { row, layers } = exchange;
  const { clientRequest: client, signedRequest: signed } = layers;
  if (client?.method === undefined || client.target === undefined) return { problem: 'The request is not kept.' };
  const body = bodyOf(exchange, 'clientRequest');
  if (body === undefined && row.requestBytes > 0) return { problem: "The request's body is not kept." };
  if (body?.hole !== undefined) return { problem: `The request's body is not kept whole (${body.hole.why}).` };
  const target = withoutSigning(client.target);
  const signedTarget = signed?.target === undefined ? undefined : withoutSigning(signed.target);
  const mount = findMount(target, signedTarget);
  const bytes = body?.read() ?? Buffer.alloc(0);
  const json = readJson(bytes);
  const service = row.service ?? 'bedrock-runtime';
  const operation = OPERATIONS.find((each) => each.service.id === service && each.name === row.operation);
  return {
    method: client.method,
    endpoint: `${new URL(url).origin}${mount}`,
    target: target.slice(mount.length),
    direct:
      signed?.authority === undefined || signedTarget === undefined
        ? undefined
        : { authority: signed.authority, target: signedTarget, signingName: signingNameOf(service) },
    service,
    region: row.region ?? 'us-east-1',
    operation: operation !== undefined && MODELLED.has(operation.service.id) ? operation : undefined,
    headers: client.headers
      .map(([name, value]): HeaderPair => [name.toLowerCase(), value])
      .filter(
        ([name, value]) =>
          /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) &&
          !LEFT_OUT.test(name) &&
          !hasControls(value) &&
          !value.includes(MASKED),
      ),
    body: bytes,
    json: isObject(json) ? json : undefined,
  };
}

const MODELLED: ReadonlySet<string> = new Set([...SERVICES.keys()].filter((id) => !/mantle|gateway/.test(id)));

function signingNameOf(id: string): string {
  return (SERVICES.get(id) ?? findService('bedrock-runtime')).signingName;
}

function withoutSigning(target: string): string {
  const [path = '', query] = target.split(/\?(.*)/s);
  const left = (query ?? '')
    .split('&')
    .filter((pair) => pair !== '' && !SIGNING_PARAMETERS.test(pair) && !pair.includes(MASKED));
  return left.length === 0 ? path : `${path}?${left.join('&')}`;
}

/** What stands before AWS's own path: `/bedrock`, or nothing. */
function findMount(target: string, signedTarget: string | undefined): string {
  if (signedTarget !== undefined && target.endsWith(signedTarget)) {
    return target.slice(0, target.length - signedTarget.length).replace(/\/$/, '');
  }
  return /^\/bedrock(?=\/)/.exec(target)?.[0] ?? '';
}

/** The values of a path's labels by their names, decoded; undefined if the path is none of this operation's. */
export function readLabels({ template }: Operation, target: string): ReadonlyMap<string, string> | undefined {
  const [path = ''] = target.split('?');
  const [wanted, found] = [template.split('/'), path.split('/')];
  if (wanted.length !== found.length) return undefined;
  const labels = new Map<string, string>();
  for (const [index, segment] of wanted.entries()) {
    const value = found[index] ?? '';
    const label = /^\{([A-Za-z]\w*)\}$/.exec(segment)?.[1];
    if (label === undefined && segment !== value) return undefined;
    if (label !== undefined) labels.set(label, decodeLabel(value));
  }
  return labels;
}

function decodeLabel(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * Whether a body can stand in a command: text that no terminal acts on when it is pasted, and not so long that none
 * takes it.
 */
export function isPastable(body: Buffer): boolean {
  if (body.length > MAX_PASTED_BYTES) return false;
  const text = body.toString();
  return !hasControls(text.replaceAll(/[\n\t]/g, '')) && Buffer.from(text).equals(body);
}

/** C0, DEL and C1: what ends a paste or moves a cursor begins with one of them. */
export function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

const MAX_PASTED_BYTES = 64 * 1024;

/** The header's value, if it says anything. */
export function headerOf({ headers }: SnippetRequest, name: string): string | undefined {
  return findHeader(headers, name);
}

/** Whether Python's SDK and the AWS CLI take a token: botocore sends one over https only. */
export function takesBearer({ operation, endpoint }: SnippetRequest): boolean {
  return operation?.service.bearerKeys === true && endpoint.startsWith('https:');
}

/** Where the other half of a pair is found. */
export const KEY_ID_NOTE = "BEDROCK_PROXY_KEY_ID is the key's access key id: `bedrock-proxy key list` shows it.";
