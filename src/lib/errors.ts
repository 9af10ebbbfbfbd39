/**
 * Every error the proxy itself can answer, and how it looks on the wire (the AWS JSON shape).
 * Lowest room of the house: imports nothing. A response from AWS is never an error in this sense, whatever its status:
 * it passes through. Must not hold secrets: what goes in here reaches clients and logs.
 */

/** Who has to change something: the caller, whoever runs the proxy, AWS, or us. */
export type Fault = 'client' | 'operator' | 'upstream' | 'internal';

interface ErrorKind {
  readonly fault: Fault;
  readonly status: number;
  /** The exception name in `__type` and `x-amzn-errortype`; SDKs turn it into their typed exception. */
  readonly awsType: string;
}

/**
 * The table of codes. A code is stable and documented in docs/errors.md. Statuses follow one rule: 408, 429, 500, 502,
 * 503 and 504 are retried by the SDKs, so they are given only where a retry can cure.
 */
export const ERROR_KINDS = {
  ERR_BAD_OPTION: { fault: 'operator', status: 500, awsType: 'InternalServerException' },
  ERR_ADDRESS_IN_USE: { fault: 'operator', status: 500, awsType: 'InternalServerException' },
  ERR_BAD_TARGET: { fault: 'client', status: 400, awsType: 'ValidationException' },
  ERR_BAD_ARN: { fault: 'client', status: 400, awsType: 'ValidationException' },
  ERR_BAD_REQUEST: { fault: 'client', status: 400, awsType: 'ValidationException' },
  ERR_HOST_REFUSED: { fault: 'client', status: 403, awsType: 'AccessDeniedException' },
  ERR_ORIGIN_REFUSED: { fault: 'client', status: 403, awsType: 'AccessDeniedException' },
  ERR_OPEN_MODE_REMOTE: { fault: 'operator', status: 403, awsType: 'AccessDeniedException' },
  ERR_KEY_MISSING: { fault: 'client', status: 401, awsType: 'MissingAuthenticationTokenException' },
  ERR_KEY_UNKNOWN: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_KEY_REVOKED: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_KEY_EXPIRED: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_KEY_BLOCKED: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_KEYS_DIFFER: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_KEY_IN_QUERY: { fault: 'client', status: 400, awsType: 'ValidationException' },
  ERR_REAL_AWS_CREDENTIALS: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_SIGNATURE: { fault: 'client', status: 401, awsType: 'SignatureDoesNotMatch' },
  ERR_SIGNATURE_EXPIRED: { fault: 'client', status: 401, awsType: 'RequestExpired' },
  ERR_SIGNATURE_EARLY: { fault: 'client', status: 401, awsType: 'RequestInTheFuture' },
  ERR_TOO_MANY_FAILURES: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  ERR_SECRET_MISSING: { fault: 'operator', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_MASTER_KEY: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_INSPECT_TOKEN: { fault: 'client', status: 401, awsType: 'UnrecognizedClientException' },
  ERR_UNKNOWN_PATH: { fault: 'client', status: 404, awsType: 'UnknownOperationException' },
  ERR_UNKNOWN_OPERATION: { fault: 'client', status: 404, awsType: 'UnknownOperationException' },
  // An own name, because one of AWS's might be caught by the code that is tested.
  ERR_CASSETTE_MISS: { fault: 'client', status: 404, awsType: 'CassetteMissException' },
  ERR_SCOPE: { fault: 'client', status: 403, awsType: 'AccessDeniedException' },
  ERR_MODEL_NOT_ALLOWED: { fault: 'client', status: 403, awsType: 'AccessDeniedException' },
  ERR_REGION_NOT_ALLOWED: { fault: 'client', status: 403, awsType: 'AccessDeniedException' },
  ERR_REQUEST_RATE: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  ERR_TOKEN_RATE: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  ERR_TOO_MANY_PARALLEL: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  ERR_TOO_MANY_UPLOADS: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  // What others reserve may come free again: worth another try, unlike the next two.
  ERR_BUDGET_HELD: { fault: 'client', status: 429, awsType: 'ThrottlingException' },
  // 402 and nothing else: no SDK sends it again, and Claude Code says it at once.
  ERR_BUDGET_EXCEEDED: { fault: 'client', status: 402, awsType: 'ServiceQuotaExceededException' },
  ERR_UNPRICED: { fault: 'client', status: 402, awsType: 'ServiceQuotaExceededException' },
  ERR_NOT_SUPPORTED: { fault: 'operator', status: 501, awsType: 'UnsupportedOperationException' },
  ERR_REGION_MISSING: { fault: 'operator', status: 400, awsType: 'ValidationException' },
  ERR_NO_UPSTREAM: { fault: 'operator', status: 400, awsType: 'ValidationException' },
  // Requests under way end, and make room.
  ERR_UPSTREAMS_FULL: { fault: 'operator', status: 429, awsType: 'ThrottlingException' },
  ERR_REGION_INVALID: { fault: 'client', status: 400, awsType: 'ValidationException' },
  ERR_BODY_TOO_LARGE: { fault: 'client', status: 413, awsType: 'RequestEntityTooLargeException' },
  ERR_BODY_ENCODING: { fault: 'client', status: 415, awsType: 'ValidationException' },
  ERR_BODY_TIMEOUT: { fault: 'client', status: 408, awsType: 'RequestTimeoutException' },
  ERR_LOOP: { fault: 'operator', status: 400, awsType: 'ValidationException' },
  ERR_NO_AWS_CREDENTIALS: { fault: 'operator', status: 403, awsType: 'AccessDeniedException' },
  ERR_AWS_CREDENTIALS: { fault: 'operator', status: 403, awsType: 'ExpiredTokenException' },
  ERR_ROLE_REFUSED: { fault: 'operator', status: 403, awsType: 'AccessDeniedException' },
  ERR_API_KEY_REFUSED: { fault: 'operator', status: 403, awsType: 'AccessDeniedException' },
  ERR_STORE_UNAVAILABLE: { fault: 'operator', status: 503, awsType: 'ServiceUnavailableException' },
  // 507 and no other 5xx: SDKs do not send it again, and a full disk does not empty itself.
  ERR_SPOOL: { fault: 'operator', status: 507, awsType: 'InsufficientStorageException' },
  ERR_DESCRIPTORS: { fault: 'operator', status: 503, awsType: 'ServiceUnavailableException' },
  ERR_SHUTTING_DOWN: { fault: 'operator', status: 503, awsType: 'ServiceUnavailableException' },
  ERR_UPSTREAM_UNREACHABLE: { fault: 'upstream', status: 502, awsType: 'BadGatewayException' },
  // A retry meets the same certificate.
  ERR_UPSTREAM_UNTRUSTED: { fault: 'operator', status: 403, awsType: 'AccessDeniedException' },
  ERR_UPSTREAM_TIMEOUT: { fault: 'upstream', status: 504, awsType: 'GatewayTimeoutException' },
  ERR_UPSTREAM_RESET: { fault: 'upstream', status: 502, awsType: 'BadGatewayException' },
  ERR_CLIENT_GONE: { fault: 'client', status: 499, awsType: 'RequestAbortedException' },
  ERR_INTERNAL: { fault: 'internal', status: 500, awsType: 'InternalServerException' },
} as const satisfies Record<string, ErrorKind>;

/** A code of `ERROR_KINDS`: stable, and documented in docs/errors.md. */
export type ErrorCode = keyof typeof ERROR_KINDS;

/** The only error class of the program. Told apart by `code`, never by message. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ErrorCode;
  readonly fault: Fault;
  /** HTTP status of the response. 499 is never sent: that client has left. */
  readonly status: number;
  readonly awsType: string;
  /** What to do about it, in one sentence; part of the wire message and the CLI's `hint:` line. */
  readonly hint: string | undefined;
  /** For the operator alone (a path, a system error code): in logs and on the terminal, never on the wire. */
  readonly detail: string | undefined;
  /** `retry-after` of the response. */
  readonly retryAfterSeconds: number | undefined;
  /** The fault that was injected and made it, for `x-bedrock-proxy-fault` of the response. */
  readonly injected: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      hint?: string | undefined;
      detail?: string | undefined;
      retryAfterSeconds?: number | undefined;
      injected?: string | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const kind: ErrorKind = ERROR_KINDS[code];
    this.code = code;
    this.fault = kind.fault;
    this.status = kind.status;
    this.awsType = kind.awsType;
    this.hint = options.hint;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.injected = options.injected;
  }
}

/**
 * Any thrown value as a ProxyError; what is not one already becomes ERR_INTERNAL without its message (it may hold
 * secrets).
 */
export function toProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('ERR_INTERNAL', 'The proxy failed in a way it did not expect.', {
    hint: 'Its log has the details.',
    cause: thrown,
  });
}

/** The client is gone, and with it whoever could read a response: for the log alone. */
export function clientGone(message = 'The client left before its response was complete.', cause?: unknown): ProxyError {
  return new ProxyError('ERR_CLIENT_GONE', message, { cause });
}

/** Why the signal of a request has fired: the error that cut it, or else that its client is gone. */
export function toAbortError({ reason }: AbortSignal): ProxyError {
  return reason instanceof ProxyError ? reason : clientGone();
}

/** One of our responses, ready to send. Header names are lower-case. */
export interface ErrorResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/**
 * An error in the shape AWS services use: JSON `message` and `__type`, the type again in `x-amzn-errortype`, the id of
 * the exchange in `x-amzn-requestid`. `x-bedrock-proxy-error` marks it as ours. 401, 402 and 507 carry `x-should-retry:
 * false`, which Anthropic's and OpenAI's clients obey (otherwise Claude Code retries silently for half a minute).
 */
export function renderError(error: ProxyError, requestId: string): ErrorResponse {
  const message = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  const body = Buffer.from(JSON.stringify({ message, __type: error.awsType }));
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['x-amzn-errortype', error.awsType],
    ['x-amzn-requestid', requestId],
    ['x-bedrock-proxy-error', error.code],
  ];
  if (error.status === 401 || error.status === 402 || error.status === 507) headers.push(['x-should-retry', 'false']);
  if (error.retryAfterSeconds !== undefined) headers.push(['retry-after', String(error.retryAfterSeconds)]);
  if (error.injected !== undefined) headers.push(['x-bedrock-proxy-fault', error.injected]);
  return { status: error.status, headers, body };
}
