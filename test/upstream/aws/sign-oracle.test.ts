/**
 * What is sent, against the signer of the AWS SDK: for thousands of random requests the headers must be the very same.
 * The two share nothing but the signing key.
 */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { HeaderPair } from '../../../src/http/message.ts';
import { signRequest, type UnsignedRequest } from '../../../src/upstream/aws/sign.ts';
import { isSigned } from '../../../src/upstream/headers.ts';
import { hashHex, toWire } from '../../helpers/sigv4-signing.ts';

/** As SDKs use it: text, decoded; repeats of a header joined by a comma. */
async function signAsSdk(request: UnsignedRequest): Promise<HeaderPair[]> {
  const { credentials, region, signingName, method, host, target, headers, bodySha256, signingDate } = request;
  const signer = new SignatureV4({
    credentials: { ...credentials, sessionToken: credentials.sessionToken ?? '' },
    region,
    service: signingName,
    sha256: Sha256,
  });
  const query: Record<string, string[]> = Object.create(null);
  for (const pair of (target.query ?? '').split('&').filter((text) => text !== '')) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
    (query[decodeURIComponent(name)] ??= []).push(decodeURIComponent(value));
  }
  const collected: Record<string, string> = { host, 'x-amz-content-sha256': bodySha256 };
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (!isSigned(lower)) continue;
    const text = Buffer.from(value, 'latin1').toString('utf8');
    collected[lower] = collected[lower] === undefined ? text : `${collected[lower]},${text}`;
  }
  const toSign = { method, protocol: 'https:', hostname: host, path: target.path, query, headers: collected };
  const signed = await signer.sign(toSign, { signingDate });
  const added = ['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256', 'authorization'];
  const pairs = added.map((name): [string, string | undefined] => [name, signed.headers[name]]);
  return [['host', host], ...headers, ...pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)];
}

const textOf = (pieces: readonly string[], maxLength = 8): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...pieces), { maxLength }).map((chosen) => chosen.join(''));

const PATH_PIECES =
  "/ / / // /. /.. /./ /../ %3A %2F %2f %25 : model v1 Z 0 . .. - _ ~ % ! $ & ' ( ) * + , ; = @ [ ] | %C3%BC".split(
    ' ',
  );
/** Raw, as on a wire, and such that it can be decoded. */
const QUERY_PIECES =
  "a b B k 1 10 9 = = & & && + / ? : @ ~ - _ . ! $ ' ( ) * , ; [ ] %20 %2B %2b %26 %3D %25 %7E %41 %C3%BC %F0%9F%98%80".split(
    ' ',
  );
const HEADER_PIECES = [' ', '  ', '\t', ...'a B 1 , " = ; / ü € 😀 \u00a0'.split(' ')];
const HEADER_NAMES = [
  'Content-Type',
  'content-type',
  'X-Amz-Meta',
  'x-amz-meta',
  'x-amz-Meta-b',
  'X-Amzn-Bedrock-Trace',
  'X-Amz-Target',
  'x-amzn-trace-id',
  'User-Agent',
  'accept',
];

/** Both ends of a value that arrived are trimmed: HTTP says that what is around it is none of it. */
const header: fc.Arbitrary<HeaderPair> = fc.tuple(
  fc.constantFrom(...HEADER_NAMES),
  textOf(HEADER_PIECES).map((text) => toWire(text).replaceAll(/^[ \t]+|[ \t]+$/g, '')),
);

const credentials = fc.constantFrom(
  { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'other/secret', sessionToken: 'FwoGZXIvYXdzE//+=' },
  { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'other/secret', sessionToken: '' },
);

const unsigned: fc.Arbitrary<UnsignedRequest> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
  host: fc.constantFrom('bedrock-runtime.us-east-1.amazonaws.com', '127.0.0.1:8080'),
  target: fc.record({
    path: textOf(PATH_PIECES, 12).map((path) => `/${path}`),
    query: fc.option(textOf(QUERY_PIECES, 16), { nil: undefined }),
  }),
  headers: fc.array(header, { maxLength: 6 }),
  bodySha256: fc.constantFrom(hashHex(''), hashHex('{"a":1}'), 'STREAMING-AWS4-HMAC-SHA256-EVENTS'),
  credentials,
  region: fc.constantFrom('us-east-1', 'eu-central-1', 'us-gov-west-1'),
  signingName: fc.constantFrom('bedrock', 'bedrock-agentcore'),
  signingDate: fc.date({ min: new Date('2001-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
});

it("sends the very headers that the AWS SDK's signer makes of a request", async () => {
  await fc.assert(
    fc.asyncProperty(unsigned, async (request) => {
      expect(await signRequest(request)).toEqual(await signAsSdk(request));
    }),
    { numRuns: 5000, seed: 20_260_314 },
  );
});
