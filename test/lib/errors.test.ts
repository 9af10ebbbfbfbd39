import { describe, expect, it } from 'vitest';
import { ERROR_KINDS, type ErrorCode, ProxyError, renderError, toProxyError } from '../../src/lib/errors.ts';

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[];
/** What the AWS SDKs send again on their own. */
const RETRIED_STATUSES = [429, 500, 502, 503, 504];
/** The only codes a second attempt can cure, and the two that are told on a terminal and never on the wire. */
const CURED_BY_RETRY = new Set([
  'ERR_STORE_UNAVAILABLE',
  'ERR_DESCRIPTORS',
  'ERR_SHUTTING_DOWN',
  'ERR_UPSTREAM_UNREACHABLE',
  'ERR_UPSTREAM_TIMEOUT',
  'ERR_UPSTREAM_RESET',
  // Somebody else behind the same address may have a right key.
  'ERR_TOO_MANY_FAILURES',
  // The minute passes, the others end.
  'ERR_REQUEST_RATE',
  'ERR_TOKEN_RATE',
  'ERR_TOO_MANY_PARALLEL',
  'ERR_TOO_MANY_UPLOADS',
  'ERR_UPSTREAMS_FULL',
  'ERR_BUDGET_HELD',
  'ERR_INTERNAL',
]);
const NEVER_ON_THE_WIRE = new Set(['ERR_BAD_OPTION', 'ERR_ADDRESS_IN_USE']);

describe('the table of codes', () => {
  it.each(CODES)('names an error code and its AWS type in their forms: %s', (code) => {
    expect(code).toMatch(/^ERR_[A-Z_]+$/);
    expect(ERROR_KINDS[code].awsType).toMatch(/^[A-Z][A-Za-z]+$/);
  });

  it.each(CODES.filter((code) => RETRIED_STATUSES.includes(ERROR_KINDS[code].status)))(
    'gives %s a status that SDKs retry only because a retry can cure it',
    (code) => {
      expect(CURED_BY_RETRY.has(code) || NEVER_ON_THE_WIRE.has(code)).toBe(true);
    },
  );

  it('gives every fault of the client a 4xx status', () => {
    const statuses = CODES.filter((code) => ERROR_KINDS[code].fault === 'client').map(
      (code) => ERROR_KINDS[code].status,
    );
    expect(statuses.every((status) => status >= 400 && status < 500)).toBe(true);
  });
});

describe('ProxyError', () => {
  it('takes status, fault and AWS type of an error from its code', () => {
    const error = new ProxyError('ERR_KEY_REVOKED', 'It was revoked.');
    expect(error).toMatchObject({
      name: 'ProxyError',
      code: 'ERR_KEY_REVOKED',
      fault: 'client',
      status: 401,
      awsType: 'UnrecognizedClientException',
      message: 'It was revoked.',
      hint: undefined,
      detail: undefined,
    });
    expect('cause' in error).toBe(false);
  });

  it('keeps cause, hint and detail of an error', () => {
    const cause = new Error('deep');
    const error = new ProxyError('ERR_INTERNAL', 'm', { cause, hint: 'h', detail: 'd' });
    expect([error.cause, error.hint, error.detail]).toEqual([cause, 'h', 'd']);
  });
});

describe('toProxyError', () => {
  it('hands a ProxyError back as it is', () => {
    const error = new ProxyError('ERR_LOOP', 'round and round');
    expect(toProxyError(error)).toBe(error);
  });

  it.each([
    { name: 'an error', thrown: new Error('password hunter2') },
    { name: 'a string', thrown: 'password hunter2' },
    { name: 'undefined', thrown: undefined },
  ])('makes ERR_INTERNAL of $name, without its words', ({ thrown }) => {
    const error = toProxyError(thrown);
    expect(error.code).toBe('ERR_INTERNAL');
    expect(`${error.message} ${error.hint}`).not.toContain('hunter2');
    expect(error.cause).toBe(thrown);
    expect(renderError(error, 'id').body.toString()).not.toContain('hunter2');
  });
});

describe('renderError', () => {
  it('writes an error in the AWS JSON shape, byte for byte', () => {
    const error = new ProxyError('ERR_UNKNOWN_PATH', 'Nothing is here – nichts.', {
      hint: 'Look elsewhere.',
      detail: '/etc',
    });
    const { status, headers, body } = renderError(error, '0-1');
    const text = '{"message":"Nothing is here – nichts. Look elsewhere.","__type":"UnknownOperationException"}';
    expect(status).toBe(404);
    expect(body.toString()).toBe(text);
    expect(headers).toEqual([
      ['content-type', 'application/json'],
      ['content-length', String(Buffer.byteLength(text))],
      ['x-amzn-errortype', 'UnknownOperationException'],
      ['x-amzn-requestid', '0-1'],
      ['x-bedrock-proxy-error', 'ERR_UNKNOWN_PATH'],
    ]);
  });

  it.each(CODES.filter((code) => code !== 'ERR_CLIENT_GONE'))(
    'asks clients not to retry %s exactly if it is a 401, 402 or 507',
    (code) => {
      const { status, headers } = renderError(new ProxyError(code, 'm'), 'id');
      expect(headers.some(([name, value]) => name === 'x-should-retry' && value === 'false')).toBe(
        [401, 402, 507].includes(status),
      );
    },
  );

  it('says when to come back if that is known', () => {
    const error = new ProxyError('ERR_TOO_MANY_FAILURES', 'm', { retryAfterSeconds: 7 });
    expect(renderError(error, 'id').headers).toContainEqual(['retry-after', '7']);
  });

  it('never shows a client what is for the operator alone', () => {
    const error = new ProxyError('ERR_STORE_UNAVAILABLE', 'm', {
      detail: '/home/alice/keys.db',
      cause: new Error('cause'),
    });
    const { headers, body } = renderError(error, 'id');
    expect(`${JSON.stringify(headers)}${body.toString()}`).not.toMatch(/alice|cause/);
  });
});
