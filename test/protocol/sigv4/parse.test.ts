import { parseTarget } from '../../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import type { SignableRequest } from '../../../src/protocol/sigv4/canonical.ts';
import { parseSigV4 } from '../../../src/protocol/sigv4/parse.ts';
import type { HeaderPair } from '../../../src/http/message.ts';

const SIGNATURE = '0123456789abcdef'.repeat(4);
const CREDENTIAL = 'Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request';
const AUTHORIZATION = `AWS4-HMAC-SHA256 ${CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=${SIGNATURE}`;
const DATE: HeaderPair = ['X-Amz-Date', '20150830T123600Z'];
const PRESIGNED =
  '/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fbedrock%2Faws4_request' +
  `&X-Amz-Date=20150830T123600Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=${SIGNATURE}`;

function requestWith(headers: readonly HeaderPair[], rawTarget = '/x'): SignableRequest {
  return { method: 'GET', target: parseTarget(rawTarget), headers, authority: 'localhost' };
}

describe('parseSigV4 of an Authorization header', () => {
  it('reads every part of an Authorization header', () => {
    const request = requestWith([DATE, ['Authorization', AUTHORIZATION], ['x-amz-content-sha256', ' abc ']]);
    expect(parseSigV4(request)).toEqual({
      form: 'header',
      accessKeyId: 'AKIDEXAMPLE',
      scope: { date: '20150830', region: 'us-east-1', service: 'bedrock', terminator: 'aws4_request' },
      signedHeaders: ['host', 'x-amz-date'],
      signature: SIGNATURE,
      timestamp: '20150830T123600Z',
      timestampMs: Date.UTC(2015, 7, 30, 12, 36),
      dateHeader: 'x-amz-date',
      expiresSeconds: undefined,
      declaredPayloadHash: 'abc',
      request,
    });
  });

  it.each([
    { name: 'no space after commas', value: AUTHORIZATION.replaceAll(', ', ',') },
    { name: 'wide spaces', value: AUTHORIZATION.replaceAll(', ', '  ,   ').replace('256 ', '256    ') },
    { name: 'spaces around', value: `  ${AUTHORIZATION} ` },
    {
      name: 'another order',
      value: `AWS4-HMAC-SHA256 Signature=${SIGNATURE}, SignedHeaders=host;x-amz-date, ${CREDENTIAL}`,
    },
  ])('reads an Authorization header with $name', ({ value }) => {
    const parsed = parseSigV4(requestWith([DATE, ['authorization', value]]));
    expect(parsed).toMatchObject({ accessKeyId: 'AKIDEXAMPLE', signature: SIGNATURE });
  });

  it('reads the time from the Date header if x-amz-date is absent', () => {
    const headers: HeaderPair[] = [
      ['Date', 'Sun, 30 Aug 2015 12:36:00 GMT'],
      ['authorization', AUTHORIZATION],
    ];
    expect(parseSigV4(requestWith(headers))).toMatchObject({ timestamp: '20150830T123600Z', dateHeader: 'date' });
  });

  it('prefers x-amz-date to date', () => {
    const headers: HeaderPair[] = [['Date', 'Mon, 31 Aug 2015 12:36:00 GMT'], DATE, ['authorization', AUTHORIZATION]];
    expect(parseSigV4(requestWith(headers))).toMatchObject({ timestamp: '20150830T123600Z', dateHeader: 'x-amz-date' });
  });

  it.each([
    { name: 'no credential at all', headers: [] },
    { name: 'a bearer token', headers: [['authorization', 'Bearer sk-x']] },
    { name: 'an empty header', headers: [['authorization', '']] },
  ] satisfies { name: string; headers: HeaderPair[] }[])('finds no SigV4 signature in $name', ({ headers }) => {
    expect(parseSigV4(requestWith(headers))).toBeUndefined();
  });

  it.each([
    { name: 'another algorithm', value: AUTHORIZATION.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256') },
    { name: 'a lower-case algorithm', value: AUTHORIZATION.replace('AWS4-HMAC', 'aws4-hmac') },
    { name: 'nothing after the algorithm', value: 'AWS4-HMAC-SHA256' },
    { name: 'no credential', value: AUTHORIZATION.replace(`${CREDENTIAL}, `, '') },
    { name: 'a scope of three parts', value: AUTHORIZATION.replace('/bedrock', '') },
    { name: 'a scope of five parts', value: AUTHORIZATION.replace('/bedrock', '/bed/rock') },
    { name: 'an empty region', value: AUTHORIZATION.replace('us-east-1', '') },
    { name: 'a control character in the key id', value: AUTHORIZATION.replace('AKID', 'AK\u0007') },
    { name: 'a key id of 129 characters', value: AUTHORIZATION.replace('AKIDEXAMPLE', 'A'.repeat(129)) },
    { name: 'no signed headers', value: AUTHORIZATION.replace('SignedHeaders=host;x-amz-date, ', '') },
    { name: 'empty signed headers', value: AUTHORIZATION.replace('host;x-amz-date', '') },
    { name: 'an upper-case signed header', value: AUTHORIZATION.replace('=host', '=Host') },
    { name: 'a signed header twice', value: AUTHORIZATION.replace('=host', '=host;host') },
    { name: 'a signed header with a line break', value: AUTHORIZATION.replace('=host', '=host;a\nb') },
    { name: 'no signature', value: AUTHORIZATION.replace(`, Signature=${SIGNATURE}`, '') },
    { name: 'a short signature', value: AUTHORIZATION.slice(0, -1) },
    { name: 'an upper-case signature', value: AUTHORIZATION.replace(SIGNATURE, SIGNATURE.toUpperCase()) },
    { name: 'a field twice', value: `${AUTHORIZATION}, ${CREDENTIAL}` },
    { name: 'a field without a name', value: `${AUTHORIZATION}, =x` },
    { name: 'a trailing comma', value: `${AUTHORIZATION},` },
  ])('refuses an Authorization header with $name', ({ value }) => {
    expectMalformed(requestWith([DATE, ['authorization', value]]));
  });

  it.each([
    { name: 'no time', date: undefined },
    { name: 'an extended ISO time', date: '2015-08-30T12:36:00Z' },
    { name: 'a time with an offset', date: '20150830T123600+0200' },
    { name: 'a month 13', date: '20151330T123600Z' },
    { name: 'milliseconds', date: '20150830T123600.000Z' },
    { name: 'two times', date: '20150830T123600Z,20150830T123600Z' },
    { name: 'a time without sense', date: 'yesterday' },
  ])('refuses a signed request with $name', ({ date }) => {
    const time: HeaderPair[] = date === undefined ? [] : [['x-amz-date', date]];
    expectMalformed(requestWith([...time, ['authorization', AUTHORIZATION]]));
  });

  it('refuses two Authorization headers', () => {
    expectMalformed(requestWith([DATE, ['authorization', AUTHORIZATION], ['authorization', AUTHORIZATION]]));
  });
});

describe('parseSigV4 of a presigned query', () => {
  it('reads every part of a presigned query', () => {
    const request = requestWith([], PRESIGNED);
    expect(parseSigV4(request)).toEqual({
      form: 'query',
      accessKeyId: 'AKIDEXAMPLE',
      scope: { date: '20150830', region: 'us-east-1', service: 'bedrock', terminator: 'aws4_request' },
      signedHeaders: ['host'],
      signature: SIGNATURE,
      timestamp: '20150830T123600Z',
      timestampMs: Date.UTC(2015, 7, 30, 12, 36),
      dateHeader: undefined,
      expiresSeconds: 300,
      declaredPayloadHash: undefined,
      request,
    });
  });

  it.each([
    { name: 'no signature', target: PRESIGNED.replace(/&X-Amz-Signature=.*/, '') },
    { name: 'no algorithm', target: PRESIGNED.replace('X-Amz-Algorithm=AWS4-HMAC-SHA256&', '') },
    { name: 'another algorithm', target: PRESIGNED.replace('HMAC-SHA256', 'HMAC-SHA1') },
    { name: 'no expiry', target: PRESIGNED.replace('&X-Amz-Expires=300', '') },
    { name: 'an expiry of zero', target: PRESIGNED.replace('Expires=300', 'Expires=0') },
    { name: 'an expiry of more than a week', target: PRESIGNED.replace('Expires=300', 'Expires=604801') },
    { name: 'an expiry that is no number', target: PRESIGNED.replace('Expires=300', 'Expires=1e3') },
    { name: 'a date given twice', target: `${PRESIGNED}&X-Amz-Date=20150831T123600Z` },
    { name: 'a second signature', target: `${PRESIGNED}&X%2DAmz-Signature=${SIGNATURE}` },
  ])('refuses a presigned query with $name', ({ target }) => {
    expectMalformed(requestWith([], target));
  });

  it('refuses a presigned query beside a signed header', () => {
    expectMalformed(requestWith([DATE, ['authorization', AUTHORIZATION]], PRESIGNED));
  });

  it('reads a presigned query beside a bearer token, which others judge', () => {
    expect(parseSigV4(requestWith([['authorization', 'Bearer x']], PRESIGNED))).toMatchObject({ form: 'query' });
  });
});

function expectMalformed(request: SignableRequest): void {
  expect(() => parseSigV4(request)).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
}
