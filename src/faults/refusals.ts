/**
 * AWS's refusals as they are made on demand: which status, which type, which words. The offline Bedrock refuses by the
 * same table where a model's id asks for it. Pure.
 */
import type { HeaderPair } from '../http/message.ts';
import type { ResponseShape } from '../operations/facts.ts';

/** A refusal of AWS. */
export interface Refusal {
  readonly status: number;
  /** AWS's type of the error. */
  readonly type: string;
  readonly message: string;
}

/** By the names that faults have. */
export const REFUSALS = {
  throttle: { status: 429, type: 'ThrottlingException', message: 'Too many requests, please wait.' },
  unavailable: {
    status: 503,
    type: 'ServiceUnavailableException',
    message: 'The service is not available, as was asked for.',
  },
  internal: { status: 500, type: 'InternalServerException', message: 'The service failed, as was asked for.' },
  'not-ready': { status: 429, type: 'ModelNotReadyException', message: 'The model is not ready, as was asked for.' },
  timeout: { status: 408, type: 'ModelTimeoutException', message: 'The model took too long, as was asked for.' },
  'model-error': { status: 424, type: 'ModelErrorException', message: 'The model failed, as was asked for.' },
  denied: {
    status: 403,
    type: 'AccessDeniedException',
    message: 'You have no access to this model, as was asked for.',
  },
  'expired-token': {
    status: 403,
    type: 'ExpiredTokenException',
    message: 'The security token included in the request is expired',
  },
} as const satisfies Readonly<Record<string, Refusal>>;

/** What AWS calls an error of which only the status is known. */
const TYPES: Readonly<Record<number, string>> = {
  400: 'ValidationException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  408: 'ModelTimeoutException',
  409: 'ConflictException',
  413: 'RequestEntityTooLargeException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
};

/** Anthropic's names of errors, by status; any other is `invalid_request_error` or `api_error`. */
export const ANTHROPIC_ERROR_TYPES: Readonly<Record<number, string>> = {
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
};

/** A refusal with this status, 400 to 599. */
export function refusalOf(status: number): Refusal {
  const type = TYPES[status] ?? (status < 500 ? 'ValidationException' : 'InternalServerException');
  return { status, type, message: `Status ${status}, as was asked for.` };
}

/** The refusal that ends a stream with this exception, for a response that is no stream. */
export function refusalOfException(exceptionType: string): Refusal {
  const type = exceptionType.replace(/^[a-z]/, (first) => first.toUpperCase());
  const known = Object.values(REFUSALS).find((refusal) => refusal.type === type);
  if (known !== undefined) return known;
  const status = /Validation/.test(type) ? 400 : /StreamError/.test(type) ? 424 : 500;
  return { status, type, message: 'The request failed, as was asked for.' };
}

/** What a refusal is on the wire. Header names are lower-case. */
export interface WireRefusal {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
}

/** As the operation's provider writes it: Anthropic's and OpenAI's operations have their own shapes of errors. */
export function writeRefusal(
  { status, type, message }: Refusal,
  shape: ResponseShape | undefined,
  { requestId, retryAfterSeconds }: { readonly requestId: string; readonly retryAfterSeconds: number | undefined },
): WireRefusal {
  const body = Buffer.from(JSON.stringify(errorOf({ status, type, message }, shape)));
  const headers: HeaderPair[] = [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['x-amzn-requestid', requestId],
  ];
  if (!isProvider(shape)) headers.push(['x-amzn-errortype', type]);
  if (retryAfterSeconds !== undefined) headers.push(['retry-after', String(retryAfterSeconds)]);
  return { status, headers, body };
}

/** An error within server-sent events, as the provider's own API says it. */
export function writeErrorEvent(refusal: Refusal, shape: ResponseShape | undefined): Buffer {
  const data = JSON.stringify(
    shape === 'response'
      ? { type: 'error', code: 'server_error', message: refusal.message, param: null }
      : errorOf(refusal, shape === 'message' ? shape : 'chat'),
  );
  return Buffer.from(`${shape === 'message' || shape === 'response' ? 'event: error\n' : ''}data: ${data}\n\n`);
}

function isProvider(shape: ResponseShape | undefined): boolean {
  return shape === 'message' || shape === 'chat' || shape === 'response';
}

function errorOf({ status, message }: Refusal, shape: ResponseShape | undefined): object {
  if (!isProvider(shape)) return { message };
  if (shape === 'message') {
    const type = ANTHROPIC_ERROR_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
    return { type: 'error', error: { type, message } };
  }
  const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message, type, param: null, code: null } };
}
