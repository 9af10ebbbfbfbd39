/**
 * Requests recorded from real clients that signed with a virtual key's pair: each verifies, and nothing near it does.
 */
import { parseTarget } from '../../../src/http/target.ts';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSigV4 } from '../../../src/protocol/sigv4/parse.ts';
import { deriveSigningKey, sha256Hex } from '../../../src/protocol/sigv4/key.ts';
import { type SigV4Verdict, verifySigV4 } from '../../../src/protocol/sigv4/verify.ts';

interface RecordedRequest {
  readonly client: string;
  readonly httpVersion: string;
  readonly method: string;
  readonly rawTarget: string;
  readonly authority: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const RECORDED = JSON.parse(readFileSync(new URL('../../fixtures/sigv4-recorded.json', import.meta.url), 'utf8')) as {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly requests: readonly RecordedRequest[];
};

function verify(
  request: RecordedRequest,
  body = request.body,
  secretAccessKey = RECORDED.secretAccessKey,
): SigV4Verdict {
  const parsed = parseSigV4({ ...request, target: parseTarget(request.rawTarget) });
  if (parsed === undefined) throw new Error('not signed');
  expect(parsed.accessKeyId).toBe(RECORDED.accessKeyId);
  const bodySha256Hex = sha256Hex(Buffer.from(body));
  const signingKey = deriveSigningKey(secretAccessKey, parsed.scope);
  return verifySigV4({ parsed, signingKey, bodySha256Hex, nowMs: parsed.timestampMs + 1_000 });
}

it('has a recorded request of every promised client', () => {
  expect(new Set(RECORDED.requests.map(({ client }) => client))).toEqual(
    new Set([
      'boto3',
      'AWS SDK for JavaScript, HTTP/2',
      'AWS SDK for JavaScript, HTTP/1.1',
      'Anthropic SDK for TypeScript',
      'Anthropic SDK for Python',
    ]),
  );
});

describe.each(RECORDED.requests)('$client: $method $rawTarget', (request) => {
  it('accepts the signature of a recorded request', () => {
    expect(verify(request)).toMatchObject({ ok: true });
  });

  it.each([
    ['another secret', request, request.body, 'sk-another'],
    ['another body', request, `${request.body} `, RECORDED.secretAccessKey],
    ['another method', { ...request, method: 'PUT' }, request.body, RECORDED.secretAccessKey],
    [
      'another path',
      { ...request, rawTarget: request.rawTarget.replace('/bedrock', '/bedrocks') },
      request.body,
      undefined,
    ],
    ['another host', withHost(request, 'localhost:4001'), request.body, RECORDED.secretAccessKey],
    ['another query', { ...request, rawTarget: `${request.rawTarget}&x=1` }, request.body, RECORDED.secretAccessKey],
  ])('refuses a recorded request with %s', (_, changed, body, secret) => {
    expect(verify(changed, body, secret)).toMatchObject({ ok: false });
  });
});

function withHost(request: RecordedRequest, host: string): RecordedRequest {
  const headers = request.headers.map(([name, value]) =>
    name.toLowerCase() === 'host' ? ([name, host] as const) : ([name, value] as const),
  );
  return { ...request, headers, authority: host };
}
