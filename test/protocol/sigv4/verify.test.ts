import { parseTarget } from '../../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import type { SignableRequest } from '../../../src/protocol/sigv4/canonical.ts';
import { deriveSigningKey } from '../../../src/protocol/sigv4/key.ts';
import { parseSigV4 } from '../../../src/protocol/sigv4/parse.ts';
import {
  needsBodyHash,
  verifySigV4,
  type SigV4Verdict,
  type VerifySigV4Input,
} from '../../../src/protocol/sigv4/verify.ts';
import type { HeaderPair } from '../../../src/http/message.ts';
import {
  hashHex,
  SECRET_ACCESS_KEY,
  SIGNED_AT_MS,
  signWithSdk,
  toWire,
  type RequestToSign,
} from '../../helpers/sigv4-signing.ts';
import { readSigV4Suite, SUITE_NOW_MS } from '../../helpers/sigv4-suite.ts';

const ARN_PATH =
  '/bedrock/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fa.b-v1%3A0/invoke';
const POST: RequestToSign = {
  method: 'POST',
  path: ARN_PATH,
  query: { qualifier: 'DEFAULT', b: ['2', '1'] },
  headers: { 'content-type': 'application/json', 'x-amzn-bedrock-trace': 'ENABLED' },
  body: '{"a":1}',
  sessionToken: 'token/with+signs==',
};

interface Overrides extends Partial<Omit<VerifySigV4Input, 'parsed' | 'signingKey'>> {
  readonly secretAccessKey?: string;
}

function verdictOf(
  request: SignableRequest,
  bodySha256Hex: string,
  { secretAccessKey = SECRET_ACCESS_KEY, ...overrides }: Overrides = {},
): SigV4Verdict {
  const parsed = parseSigV4(request);
  if (parsed === undefined) throw new Error('the request has no signature');
  const signingKey = deriveSigningKey(secretAccessKey, parsed.scope);
  return verifySigV4({ parsed, signingKey, bodySha256Hex, nowMs: SIGNED_AT_MS, ...overrides });
}

function replaceHeader(request: SignableRequest, name: string, value: string | undefined): SignableRequest {
  const others = request.headers.filter(([other]) => other.toLowerCase() !== name);
  const added: HeaderPair[] = value === undefined ? [] : [[name, value]];
  return { ...request, headers: [...others, ...added] };
}

function editAuthorization(request: SignableRequest, edit: (value: string) => string): SignableRequest {
  const value = request.headers.find(([name]) => name === 'authorization')?.[1] ?? '';
  return replaceHeader(request, 'authorization', edit(value));
}

/** The verdict on a signed request to which these headers were added. */
async function add(toSign: RequestToSign, ...headers: HeaderPair[]): Promise<SigV4Verdict> {
  const { request, bodySha256Hex } = await signWithSdk(toSign);
  return verdictOf({ ...request, headers: [...request.headers, ...headers] }, bodySha256Hex);
}

describe('verifySigV4 accepts', () => {
  const { secretAccessKey, vectors } = readSigV4Suite();
  it.each(vectors)('accepts the request "$name" of the AWS test suite', ({ request, body, signature }) => {
    const verdict = verdictOf(request, hashHex(body), { secretAccessKey, nowMs: SUITE_NOW_MS });
    expect(verdict).toMatchObject({ ok: true, signature });
  });

  it.each([
    { name: 'an encoded ARN, a query, a body and a session token', toSign: POST },
    { name: 'no content hash header', toSign: { ...POST, sendsPayloadHash: false } },
    { name: 'raw colons', toSign: { ...POST, path: '/bedrock/model/anthropic.claude-v2:1/invoke' } },
    { name: 'a doubled slash after the mount', toSign: { ...POST, path: '/bedrock//model/x/invoke' } },
    { name: 'a trailing slash', toSign: { ...POST, path: '/bedrock/agents/ABC/' } },
    { name: 'text beyond ASCII in path, query and header', toSign: unicodeRequest() },
    { name: 'a GET without a body', toSign: { method: 'GET', path: '/bedrock/foundation-models' } },
    { name: 'a bare host', toSign: { ...POST, host: 'localhost' } },
    { name: 'a body of bytes', toSign: { ...POST, body: Uint8Array.of(0, 255, 13, 10) } },
    { name: 'a presigned query', toSign: { method: 'GET', path: '/bedrock/runtimes/x/ws', presignSeconds: 300 } },
    { name: 'a presigned query with hoisted headers', toSign: { ...POST, presignSeconds: 300 } },
  ] satisfies { name: string; toSign: RequestToSign }[])('accepts a signed request with $name', async ({ toSign }) => {
    const { request, bodySha256Hex } = await signWithSdk(toSign);
    expect(verdictOf(request, bodySha256Hex)).toMatchObject({ ok: true });
  });

  it('accepts repeated headers that the client signed as one', async () => {
    const { request, bodySha256Hex } = await signWithSdk({ ...POST, headers: { 'x-amz-meta': 'a,b c' } });
    const split = replaceHeader(request, 'x-amz-meta', undefined);
    const repeated: SignableRequest = {
      ...split,
      headers: [['X-Amz-Meta', ' a'], ...split.headers, ['x-amz-meta', 'b   c ']],
    };
    expect(verdictOf(repeated, bodySha256Hex)).toMatchObject({ ok: true });
  });

  it('accepts headers that were added after signing', async () => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    const later: SignableRequest = { ...request, headers: [...request.headers, ['amz-sdk-request', 'attempt=1']] };
    expect(verdictOf(later, bodySha256Hex)).toMatchObject({ ok: true });
  });

  it('accepts a signed query in another order', async () => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    const turned = { ...request, target: parseTarget(`${ARN_PATH}?b=1&qualifier=DEFAULT&b=2`) };
    expect(turned.target.raw).not.toBe(request.target.raw);
    expect(verdictOf(turned, bodySha256Hex)).toMatchObject({ ok: true });
  });

  it('accepts :authority in place of host, as the JavaScript SDK signs it over HTTP/2', async () => {
    const { request, bodySha256Hex } = await signWithSdk({ ...POST, isHttp2: true });
    expect(request.headers.some(([name]) => name === 'host')).toBe(false);
    expect(parseSigV4(request)?.signedHeaders).not.toContain('host');
    expect(verdictOf(request, bodySha256Hex)).toMatchObject({ ok: true });
    const elsewhere = { ...request, authority: 'localhost:4001' };
    expect(verdictOf(elsewhere, bodySha256Hex)).toMatchObject({ ok: false, reason: 'signature' });
  });

  it.each([
    { name: 'the last moment of the skew', nowMs: Date.UTC(2026, 2, 14, 15, 14, 26), ok: true },
    { name: 'a moment too late', nowMs: Date.UTC(2026, 2, 14, 15, 14, 26, 1), ok: false, reason: 'expired' },
    { name: 'the first moment of the skew', nowMs: Date.UTC(2026, 2, 14, 15, 4, 26), ok: true },
    { name: 'a moment too early', nowMs: Date.UTC(2026, 2, 14, 15, 4, 25, 999), ok: false, reason: 'not_yet_valid' },
    { name: 'a wider skew', nowMs: Date.UTC(2026, 2, 14, 15, 19), maxClockSkewMs: 900_000, ok: true },
  ])('holds the time of a signature against the clock: $name', async ({ nowMs, maxClockSkewMs, ok, reason }) => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    const overrides = maxClockSkewMs === undefined ? { nowMs } : { nowMs, maxClockSkewMs };
    expect(verdictOf(request, bodySha256Hex, overrides)).toMatchObject(reason === undefined ? { ok } : { ok, reason });
  });

  it.each([
    { name: 'its last moment', nowMs: Date.UTC(2026, 2, 14, 15, 9, 36), ok: true },
    { name: 'after its time, skew or not', nowMs: Date.UTC(2026, 2, 14, 15, 9, 36, 1), ok: false, reason: 'expired' },
    { name: 'signed by a clock ahead', nowMs: Date.UTC(2026, 2, 14, 15, 5), ok: true },
    {
      name: 'signed by a clock too far ahead',
      nowMs: Date.UTC(2026, 2, 14, 15, 4),
      ok: false,
      reason: 'not_yet_valid',
    },
  ])('holds the time of a presigned query against the clock: $name', async ({ nowMs, ok, reason }) => {
    const { request, bodySha256Hex } = await signWithSdk({ method: 'GET', path: '/x', presignSeconds: 10 });
    expect(verdictOf(request, bodySha256Hex, { nowMs })).toMatchObject(reason === undefined ? { ok } : { ok, reason });
  });
});

describe('verifySigV4 and headers that were added after signing', () => {
  const PRESIGNED: RequestToSign = { method: 'GET', path: '/bedrock/runtimes/x/ws', presignSeconds: 300 };
  const SESSION: HeaderPair = ['X-Amzn-Bedrock-AgentCore-Runtime-Session-Id', 's'];

  it.each<HeaderPair>([
    ['X-Amz-Evil', '1'],
    ['x-amz-target', 'AmazonBedrock.DeleteGuardrail'],
    ['X-Amzn-Bedrock-AgentCore-Runtime-User-Id', 'victim'],
    ['x-amzn-bedrock-guardrailidentifier', 'none'],
    ['X-BEDROCK-PROXY-REGION', 'eu-west-1'],
  ])('refuses %s, by its name', async (name, value) => {
    for (const toSign of [POST, PRESIGNED]) {
      const verdict = await add(toSign, [name, value]);
      expect(verdict).toMatchObject({ ok: false, reason: 'unsigned_header' });
      expect(verdict).toMatchObject({ detail: expect.stringContaining(` ${name.toLowerCase()} `) });
    }
  });

  it.each<HeaderPair>([
    ['X-Amzn-Trace-Id', 'Root=1-67891233-abcdef012345678912345678'],
    ['x-amzn-tls-version', 'TLSv1.3'],
    ['X-Amz-Cf-Id', 'abc'],
    ['amz-sdk-request', 'attempt=2'],
    ['x-amzn', 'no prefix'],
    ['content-language', 'en'],
  ])('accepts %s, which steers nothing', async (...header) => {
    expect(await add(POST, header)).toMatchObject({ ok: true });
    expect(await add(PRESIGNED, header)).toMatchObject({ ok: true });
  });

  it('accepts the token and the session that AgentCoreRuntimeClient adds to a WebSocket it signed, and no other', async () => {
    const signed: RequestToSign = { method: 'GET', path: '/bedrock/runtimes/x/ws', sendsPayloadHash: false };
    const upgrade: HeaderPair = ['Upgrade', 'websocket'];
    const token: HeaderPair = ['X-Amz-Security-Token', 't'];
    expect(await add(signed, upgrade, SESSION, token)).toMatchObject({ ok: true });
    expect(await add(signed, SESSION)).toMatchObject({ ok: false, reason: 'unsigned_header' });
    expect(await add(PRESIGNED, upgrade, SESSION)).toMatchObject({ ok: false, reason: 'unsigned_header' });
  });

  it('holds thousands of headers against thousands of signed names at once', async () => {
    const headers = Object.fromEntries(Array.from({ length: 4_000 }, (_, index) => [`x-amz-${index}`, '1']));
    const { request, bodySha256Hex } = await signWithSdk({ ...POST, headers });
    const startedAt = performance.now();
    expect(verdictOf(request, bodySha256Hex)).toMatchObject({ ok: true });
    expect(performance.now() - startedAt).toBeLessThan(250);
  });
});

describe('verifySigV4 with a stand-in for the payload hash', () => {
  it.each(['UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-EVENTS'])('accepts %s without the body', async (literal) => {
    const { request } = await signWithSdk({ ...POST, headers: { 'x-amz-content-sha256': literal } });
    const parsed = parseSigV4(request);
    if (parsed === undefined) throw new Error('no signature');
    expect(needsBodyHash(parsed)).toBe(false);
    const signingKey = deriveSigningKey(SECRET_ACCESS_KEY, parsed.scope);
    const input = { parsed, signingKey, bodySha256Hex: undefined, nowMs: SIGNED_AT_MS };
    expect(verifySigV4(input)).toMatchObject({ ok: true });
  });

  it('refuses a stand-in hash of another scheme, as nothing can hold the body against it', async () => {
    const headers = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' };
    const { request, bodySha256Hex } = await signWithSdk({ ...POST, headers });
    expect(verdictOf(request, bodySha256Hex)).toMatchObject({ ok: false, reason: 'payload_hash' });
  });

  it('refuses a body that was not hashed though its signature needs it', async () => {
    const { request } = await signWithSdk({ ...POST, sendsPayloadHash: false });
    const parsed = parseSigV4(request);
    if (parsed === undefined) throw new Error('no signature');
    const signingKey = deriveSigningKey(SECRET_ACCESS_KEY, parsed.scope);
    const input = { parsed, signingKey, bodySha256Hex: undefined, nowMs: SIGNED_AT_MS };
    expect(verifySigV4(input)).toMatchObject({ ok: false, reason: 'payload_hash' });
  });
});

interface Tampering {
  readonly name: string;
  readonly reason: string;
  readonly edit: (request: SignableRequest) => SignableRequest;
}

const TAMPERINGS: Tampering[] = [
  { name: 'the method', reason: 'signature', edit: (request) => ({ ...request, method: 'PUT' }) },
  {
    name: 'the path',
    reason: 'signature',
    edit: (request) => ({ ...request, target: parseTarget(request.target.raw.replace('/invoke', '/converse')) }),
  },
  {
    name: 'the encoding of the path',
    reason: 'signature',
    edit: (request) => ({ ...request, target: parseTarget(request.target.raw.replace('%3A', ':')) }),
  },
  {
    name: 'the end of the path',
    reason: 'signature',
    edit: (request) => ({ ...request, target: parseTarget(request.target.raw.replace('/invoke', '/invoke/')) }),
  },
  {
    name: 'a value of the query',
    reason: 'signature',
    edit: (request) => ({ ...request, target: parseTarget(request.target.raw.replace('DEFAULT', 'OTHER')) }),
  },
  {
    name: 'the query, with one more name',
    reason: 'signature',
    edit: (request) => ({ ...request, target: parseTarget(`${request.target.raw}&extra`) }),
  },
  { name: 'the host', reason: 'signature', edit: (request) => replaceHeader(request, 'host', 'localhost:4001') },
  {
    name: 'the content type',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'content-type', 'application/xml'),
  },
  {
    name: 'the case of a header value',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'x-amzn-bedrock-trace', 'enabled'),
  },
  {
    name: 'a signed header, removed',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'x-amzn-bedrock-trace', undefined),
  },
  {
    name: 'a signed header, repeated',
    reason: 'signature',
    edit: (request) => ({ ...request, headers: [...request.headers, ['x-amzn-bedrock-trace', 'ENABLED']] }),
  },
  {
    name: 'the session token',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'x-amz-security-token', 'other'),
  },
  {
    name: 'the time',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'x-amz-date', '20260314T150927Z'),
  },
  {
    name: 'the day',
    reason: 'scope',
    edit: (request) => replaceHeader(request, 'x-amz-date', '20260315T150926Z'),
  },
  {
    name: 'the payload hash',
    reason: 'payload_hash',
    edit: (request) => replaceHeader(request, 'x-amz-content-sha256', hashHex('other')),
  },
  {
    name: 'the payload hash, to a literal',
    reason: 'signature',
    edit: (request) => replaceHeader(request, 'x-amz-content-sha256', 'UNSIGNED-PAYLOAD'),
  },
  {
    name: 'the scope date',
    reason: 'scope',
    edit: (request) => editAuthorization(request, (value) => value.replace('/20260314/', '/20260313/')),
  },
  {
    name: 'the scope region',
    reason: 'signature',
    edit: (request) => editAuthorization(request, (value) => value.replace('/us-east-1/', '/us-west-2/')),
  },
  {
    name: 'the scope service',
    reason: 'signature',
    edit: (request) => editAuthorization(request, (value) => value.replace('/bedrock/', '/s3/')),
  },
  {
    name: 'the scope terminator',
    reason: 'scope',
    edit: (request) => editAuthorization(request, (value) => value.replace('aws4_request', 'aws5_request')),
  },
  {
    name: 'the signed headers, one fewer',
    reason: 'signature',
    edit: (request) => editAuthorization(request, (value) => value.replace('content-type;', '')),
  },
  {
    name: 'the signed headers, without host',
    reason: 'unsigned_host',
    edit: (request) => editAuthorization(request, (value) => value.replace('host;', '')),
  },
  {
    name: 'the signed headers, without the date',
    reason: 'unsigned_date',
    edit: (request) => editAuthorization(request, (value) => value.replace('x-amz-date;', '')),
  },
  {
    name: 'the signature',
    reason: 'signature',
    edit: (request) => editAuthorization(request, (value) => value.replace(/.$/, (last) => (last === '0' ? '1' : '0'))),
  },
];

describe('verifySigV4 refuses a request after a change of', () => {
  it.each(TAMPERINGS)('refuses a request after a change of $name', async ({ reason, edit }) => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    const edited = edit(request);
    expect(edited).not.toEqual(request);
    const verdict = verdictOf(edited, bodySha256Hex);
    expect(verdict).toMatchObject({ ok: false, reason });
    expect(JSON.stringify(verdict)).not.toContain('token');
  });

  it('refuses another body, with and without a declared hash', async () => {
    const declared = await signWithSdk(POST);
    expect(verdictOf(declared.request, hashHex('{"a":2}'))).toMatchObject({ ok: false, reason: 'payload_hash' });
    const plain = await signWithSdk({ ...POST, sendsPayloadHash: false });
    expect(verdictOf(plain.request, hashHex('{"a":2}'))).toMatchObject({ ok: false, reason: 'signature' });
  });

  it('refuses another secret', async () => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    const verdict = verdictOf(request, bodySha256Hex, { secretAccessKey: `${SECRET_ACCESS_KEY}x` });
    expect(verdict).toMatchObject({ ok: false, reason: 'signature' });
  });

  it('refuses a change of any parameter of a presigned query', async () => {
    const { request, bodySha256Hex } = await signWithSdk({ method: 'GET', path: '/x', presignSeconds: 300 });
    const longer = { ...request, target: parseTarget(request.target.raw.replace('Expires=300', 'Expires=301')) };
    expect(verdictOf(longer, bodySha256Hex)).toMatchObject({ ok: false, reason: 'signature' });
  });
});

describe('verifySigV4 with an expected scope', () => {
  it.each([
    { name: 'the same region and service', expected: { region: 'us-east-1', services: ['bedrock'] }, ok: true },
    { name: 'one of several services', expected: { services: ['bedrock-mantle', 'bedrock'] }, ok: true },
    { name: 'another region', expected: { region: 'us-west-2' }, ok: false },
    { name: 'another service', expected: { services: ['bedrock-agentcore'] }, ok: false },
  ])('holds the scope of a signature against the expected one: $name', async ({ expected, ok }) => {
    const { request, bodySha256Hex } = await signWithSdk(POST);
    expect(verdictOf(request, bodySha256Hex, expected)).toMatchObject(ok ? { ok } : { ok, reason: 'scope' });
  });
});

function unicodeRequest(): RequestToSign {
  const headers = { 'x-amz-meta': 'gr\u00fc\u00dfe \u{1f600}', 'x-amz-wire': toWire('plain') };
  return { ...POST, path: '/model/\u1234/x', query: { '\u00e4': '\u{1f600}' }, headers };
}
