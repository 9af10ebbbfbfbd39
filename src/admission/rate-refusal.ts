/** What a key is told that has reached a limit of rate or concurrency, whoever counted. */
import { ProxyError } from '../lib/errors.ts';

/** The limit that refuses, and what there is of it. */
export interface ReachedLimit {
  readonly kind: 'parallel' | 'requests' | 'tokens';
  readonly limit: number;
  /** Requests under way; or requests or tokens of the last minute. */
  readonly used: number;
  /** Seconds until there is room. */
  readonly roomInSeconds: number;
  /** What the request may use, if it is refused for its tokens. */
  readonly tokens?: number | undefined;
}

/** ERR_TOO_MANY_PARALLEL, ERR_REQUEST_RATE or ERR_TOKEN_RATE. */
export function refuseRate({ kind, limit, used, roomInSeconds, tokens }: ReachedLimit): ProxyError {
  const retryAfterSeconds = Math.max(1, roomInSeconds);
  switch (kind) {
    case 'parallel':
      return new ProxyError(
        'ERR_TOO_MANY_PARALLEL',
        `This key's limit of requests at a time is ${limit}, and it has ${used} under way.`,
        { retryAfterSeconds },
      );
    case 'requests':
      return new ProxyError(
        'ERR_REQUEST_RATE',
        `This key's limit of requests per minute is ${limit}, and it sent ${used} in the last one.`,
        { retryAfterSeconds },
      );
    case 'tokens':
      return new ProxyError(
        'ERR_TOKEN_RATE',
        `This key's limit of tokens per minute is ${limit}; ${used} count for the last one, and ` +
          `this request may use ${tokens}.`,
        {
          hint: 'A request counts with its input and the most it may answer: a smaller max_tokens leaves more room.',
          retryAfterSeconds,
        },
      );
    default:
      return kind satisfies never;
  }
}
