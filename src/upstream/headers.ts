/**
 * The header policy, both ways, as written lists: what does not pass, and what is signed. Everything not named here
 * passes as it came, in its order and spelling. Pure.
 */
import { ProxyError } from '../lib/errors.ts';
import type { HeaderPair } from '../http/message.ts';
import { ADDED_ON_THE_WAY } from '../protocol/sigv4/verify.ts';

/** Meant for one connection only (RFC 9110, section 7.6.1, and older practice); never forwarded in either direction. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The credentials of the client: for us, never for AWS. Its SigV4 covers our address and could not be forwarded anyway.
 */
const CLIENT_CREDENTIALS: ReadonlySet<string> = new Set([
  'api-key',
  'authorization',
  'cookie',
  'litellm_user_api_key',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'x-api-key',
  'x-litellm-api-key',
]);

/** Set anew for AWS, because they describe this hop. */
const OURS: ReadonlySet<string> = new Set(['accept-encoding', 'content-length', 'expect', 'host']);

/** Instructions to the proxy itself; in responses, what it says of itself. */
const PROXY_PREFIX = 'x-bedrock-proxy-';

/** LiteLLM's names for the id and the cost of a request: of a proxy behind this one they would say something else. */
const LITELLM_RESPONSE: ReadonlySet<string> = new Set(['x-litellm-call-id', 'x-litellm-response-cost']);

const SIGNED_PREFIXES = ['x-amz-', 'x-amzn-'];

/** What the selection depends on beside the headers themselves. */
export interface SelectionFacts {
  /** Our name in `Via`; undefined: none is added. */
  readonly viaName: string | undefined;
  /**
   * `X-Amz-Target` names the operation (awsJson). Elsewhere it means nothing, and AWS must not see another meaning in
   * it.
   */
  readonly keepsTarget: boolean;
}

/**
 * The client's headers that go upstream. `accept-encoding: identity` is added, because SDKs that never asked for
 * compression do not undo it, and a compressed event stream arrives in bursts. With a `viaName`, `Via` is added as
 * well.
 */
export function selectUpstreamHeaders(
  clientHeaders: readonly HeaderPair[],
  { viaName, keepsTarget }: SelectionFacts,
): HeaderPair[] {
  const named = namedByConnection(clientHeaders);
  const kept = clientHeaders.filter(([name]) => {
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || CLIENT_CREDENTIALS.has(lower) || OURS.has(lower) || named.has(lower)) return false;
    return !lower.startsWith(PROXY_PREFIX) && (keepsTarget || lower !== 'x-amz-target');
  });
  kept.push(['accept-encoding', 'identity']);
  if (viaName !== undefined) kept.push(['via', `1.1 ${viaName}`]);
  return kept;
}

/** Throws ERR_LOOP if a `Via` header says that the request has passed under our own name already. */
export function refuseLoop(headers: readonly HeaderPair[], viaName: string | undefined): void {
  if (viaName === undefined || !isVia(headers, viaName)) return;
  throw new ProxyError('ERR_LOOP', 'The proxy received its own request: its upstream is itself.', {
    hint: 'Correct --endpoint-url; it must not lead back to the proxy.',
  });
}

function isVia(headers: readonly HeaderPair[], viaName: string): boolean {
  return headers.some(([name, value]) => name.toLowerCase() === 'via' && value.includes(viaName));
}

/** AWS's headers that go to the client: all but the connection's own, and those by which clients know us. */
export function selectClientHeaders(upstreamHeaders: readonly HeaderPair[]): HeaderPair[] {
  const named = namedByConnection(upstreamHeaders);
  return upstreamHeaders.filter(([name]) => {
    const lower = name.toLowerCase();
    if (lower.startsWith(PROXY_PREFIX) || LITELLM_RESPONSE.has(lower)) return false;
    return !HOP_BY_HOP.has(lower) && !named.has(lower);
  });
}

/** What responses say of several upstreams: the one that was asked last, and how many attempts were made. */
export function wayHeaders(upstream: string | undefined, attempts: number | undefined): HeaderPair[] {
  if (upstream === undefined) return [];
  return [
    [`${PROXY_PREFIX}upstream`, upstream],
    [`${PROXY_PREFIX}attempts`, String(attempts ?? 1)],
  ];
}

/**
 * True for the headers that the signature covers: few on purpose. What a middlebox may touch (user-agent, tracing,
 * forwarded) stays outside, or the signature breaks on the way.
 */
export function isSigned(lowerCaseName: string): boolean {
  if (lowerCaseName === 'host' || lowerCaseName === 'content-type') return true;
  return !ADDED_ON_THE_WAY.has(lowerCaseName) && SIGNED_PREFIXES.some((prefix) => lowerCaseName.startsWith(prefix));
}

/**
 * Names that `Connection` lists: hop-by-hop by the sender's word (RFC 9110, section 7.6.1). Not those that mean
 * something to AWS: a guardrail, say, cannot be taken off a request by a header that no client signs.
 */
function namedByConnection(headers: readonly HeaderPair[]): ReadonlySet<string> {
  const named = new Set<string>();
  for (const [name, value] of headers) {
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    for (const token of value.split(',')) {
      const lower = token.trim().toLowerCase();
      if (!isEndToEnd(lower)) named.add(lower);
    }
  }
  return named;
}

function isEndToEnd(lowerCaseName: string): boolean {
  return lowerCaseName.startsWith('content-') || lowerCaseName.startsWith('x-amz');
}
