/**
 * A signed request caught on its way in clear text: whoever has no key may send it again, but not as something else.
 */
import { locateFile } from '../../src/config/database-location.ts';
import { parseTarget } from '../../src/http/target.ts';
import { describe, expect } from 'vitest';
import { findSignature } from '../../src/auth/signature.ts';
import { canonicalRequest } from '../../src/protocol/sigv4/canonical.ts';
import { deriveSigningKey, formatTimestamp, signString, stringToSign } from '../../src/protocol/sigv4/key.ts';
import { findServerSecret } from '../../src/keys/server-secret.ts';
import type { ClientRequest, HeaderPair } from '../../src/http/message.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask } from '../helpers/raw-socket.ts';
import { signLines, signWithSdk } from '../helpers/sigv4-signing.ts';

const LITERAL = 'STREAMING-AWS4-HMAC-SHA256-EVENTS';

const { it, testbed } = proxyTest();

async function signWith(literal: string, method: string, path: string): Promise<string[]> {
  const { accessKeyId, key } = await testbed.mint();
  const headers = { 'x-amz-content-sha256': literal };
  const credentials = { accessKeyId, secretAccessKey: key };
  const { request } = await signWithSdk({
    method,
    path,
    headers,
    host: 'localhost',
    ...credentials,
    atMs: Date.now(),
  });
  return request.headers.map(([name, value]) => `${name}: ${value}`);
}

describe('a signature that leaves the body out', () => {
  it.each([
    ['UNSIGNED-PAYLOAD', '/bedrock/model/a/converse'],
    [LITERAL, '/bedrock/model/a/converse'],
    ['UNSIGNED-PAYLOAD', '/bedrock/runtimes/r/invocations'],
    [LITERAL, '/bedrock/v1/responses'],
  ])('is refused where the body is not a stream of frames: %s %s', async (literal, path) => {
    const headers = await signWith(literal, 'POST', path);
    const response = await ask(testbed.port, `POST ${path} HTTP/1.1`, [...headers, 'Content-Length: 2'], '{}');
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([401, 'ERR_SIGNATURE']);
    expect(testbed.upstream.requests).toEqual([]);
  });

  it('is good for a request without a body', async () => {
    const path = '/bedrock/foundation-models';
    const response = await ask(testbed.port, `GET ${path} HTTP/1.1`, await signWith('UNSIGNED-PAYLOAD', 'GET', path));
    expect(response.status).toBe(200);
  });
});

describe('a caught request', () => {
  it('sends a caught request to the region it was signed for, whatever another field of its Authorization says', async () => {
    const toSign = { method: 'POST', path: '/bedrock/model/a/invoke', body: 'x', region: 'eu-west-1' };
    const planted = 'AWS4-HMAC-SHA256 Foo=Credential=x/20260101/ap-south-1/bedrock/aws4_request, ';
    const signed = await signLines(await testbed.mint(), toSign);
    const headers = signed.map((headerLine) => headerLine.replace('AWS4-HMAC-SHA256 ', planted));
    const line = 'POST /bedrock/model/a/invoke HTTP/1.1';
    expect((await ask(testbed.port, line, [...headers, 'Content-Length: 1'], 'x')).status).toBe(200);
    expect(testbed.records.at(-1)?.route?.region).toBe('eu-west-1');
  });

  it('asks for signed frames though x-amz-content-sha256 was taken off a caught request', async () => {
    const { accessKeyId, key } = await testbed.mint();
    const nowMs = Date.now();
    const timestamp = formatTimestamp(nowMs);
    const scope = {
      date: timestamp.slice(0, 8),
      region: 'us-east-1',
      service: 'bedrock',
      terminator: 'aws4_request',
    };
    const rawTarget = '/bedrock/model/a/invoke-with-bidirectional-stream';
    const unsigned: HeaderPair[] = [
      ['host', 'localhost'],
      ['x-amz-date', timestamp],
    ];
    const signed = ['host', 'x-amz-date'];
    const text = canonicalRequest(
      { method: 'POST', target: parseTarget(rawTarget), headers: unsigned, authority: 'localhost' },
      signed,
      LITERAL,
    );
    const signature = signString(deriveSigningKey(key, scope), stringToSign(timestamp, scope, text));
    const credential = `${accessKeyId}/${scope.date}/us-east-1/bedrock/aws4_request`;
    const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
    const request = {
      method: 'POST',
      target: parseTarget(rawTarget),
      headers: [...unsigned, ['authorization', authorization]],
      authority: 'localhost',
    };
    const pending = await findSignature(request as unknown as ClientRequest, {
      store: testbed.store,
      loadServerSecret: () => findServerSecret(locateFile(testbed.databasePath), undefined),
      nowMs: () => nowMs,
    });
    expect(pending?.verify(LITERAL)?.seedSignature).toBe(signature);
  });
});
