/**
 * When another upstream is asked: what AWS says, and what of the proxy's own errors, is worth another attempt. Pure.
 * Never anything that would be the same elsewhere, and never what AWS may have done already, but for a connection that
 * broke.
 */
import type { Principal } from '../../domain/principal.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import type { ErrorCode, ProxyError } from '../../lib/errors.ts';
import type { ResponseJudge } from '../upstream.ts';

/**
 * Why an upstream rests. `caller`: it fails at one model, which may be the doing of one caller's requests. `model`: it
 * throttles one model, or does not have it ready. `host`: the host that was asked cannot
 * be reached; a client may have chosen it by its region. `upstream`: it has no credentials.
 */
export type Trouble = 'caller' | 'model' | 'host' | 'upstream';

const EVENT_STREAM_TYPE = /^\s*application\/vnd\.amazon\.eventstream\b/i;
/** 529 is Anthropic's for an overload. */
const STATUSES: ReadonlySet<number> = new Set([429, 500, 503, 529]);
const NOT_READY = /^ModelNotReadyException\b/;
/** A quota that does not come back by itself has the same status in some services. */
const QUOTA = /^ServiceQuotaExceededException\b/;
/** As event streams name them. Of the others, the request or its model is to blame. */
const EXCEPTIONS: ReadonlySet<string> = new Set([
  'throttlingException',
  'serviceUnavailableException',
  'internalServerException',
  'modelNotReadyException',
]);
/** The request has not left, or its connection broke before a response. A silence is none: AWS may be at work. */
const ERRORS: ReadonlySet<ErrorCode> = new Set([
  'ERR_UPSTREAM_UNREACHABLE',
  'ERR_UPSTREAM_UNTRUSTED',
  'ERR_UPSTREAM_RESET',
  'ERR_NO_AWS_CREDENTIALS',
  'ERR_AWS_CREDENTIALS',
  'ERR_API_KEY_REFUSED',
]);

/** Whether a response with this head is a throttle, or trouble of the upstream or its model. */
export function isUpstreamTrouble(status: number, headers: readonly HeaderPair[]): boolean {
  if (status < 400) return false;
  const errorType = findHeader(headers, 'x-amzn-errortype') ?? '';
  return NOT_READY.test(errorType) || (STATUSES.has(status) && !QUOTA.test(errorType));
}

/** Holds what another upstream may do better. */
export const FAILOVER_JUDGE: ResponseJudge = {
  judgeHead: (status, headers) => {
    if (isUpstreamTrouble(status, headers)) return 'hold';
    return status === 200 && EVENT_STREAM_TYPE.test(findHeader(headers, 'content-type') ?? '') ? 'peek' : 'pass';
  },
  holdsException: (exceptionType) => EXCEPTIONS.has(exceptionType),
};

/** Whether another upstream may be asked after this error, if the client has nothing of a response. */
export function isWorthAnother({ code }: ProxyError): boolean {
  return ERRORS.has(code);
}

/** What rests after a response that is trouble. */
export function findResponseTrouble(status: number, errorType: string | undefined): Trouble {
  return status === 500 || errorType?.startsWith('InternalServer') === true ? 'caller' : 'model';
}

/** What rests after such an error; undefined: nothing, because it is of this caller or this operation alone. */
export function findTrouble({ code }: ProxyError, principal: Principal): Trouble | undefined {
  if (code === 'ERR_API_KEY_REFUSED') return undefined;
  if (code !== 'ERR_NO_AWS_CREDENTIALS' && code !== 'ERR_AWS_CREDENTIALS') return 'host';
  const signsItself = principal.kind === 'key' && (principal.policy.profile ?? principal.policy.roleArn) !== undefined;
  return signsItself ? undefined : 'upstream';
}

const MAX_RETRY_AFTER_MS = 15 * 60_000;

/** `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3); undefined if there is none that makes sense. */
export function readRetryAfterMs(headers: readonly HeaderPair[], nowMs: number): number | undefined {
  const value = findHeader(headers, 'retry-after')?.trim() ?? '';
  const waitMs = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined;
}
