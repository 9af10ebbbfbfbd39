import { describe, expect, it } from 'vitest';
import { parseCredentialScope } from '../../../src/protocol/sigv4/scope.ts';

const SCOPE = { accessKeyId: 'AKIDEXAMPLE', date: '20260101', region: 'eu-west-1', service: 'bedrock' };
const header = (value: string) => [['Authorization', value] as const];

describe('parseCredentialScope', () => {
  it.each([
    [
      'as SDKs write it',
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab',
    ],
    [
      'without spaces',
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request,SignedHeaders=host,Signature=ab',
    ],
    [
      'in another order',
      'AWS4-HMAC-SHA256 SignedHeaders=host, Signature=ab, Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request',
    ],
    [
      'with spaces around',
      '  AWS4-HMAC-SHA256   Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request  , Signature=ab',
    ],
  ])('reads the credential scope of a header, %s', (_, value) => {
    expect(parseCredentialScope(header(value), undefined)).toEqual(SCOPE);
  });

  it.each([
    ['a bearer literal', 'Bearer sk-abc', 'Bearer sk-abc'],
    ['a virtual key', 'sk-abc', 'sk-abc'],
    ['a key with slashes', 'sk-a/b/c', 'sk-a/b/c'],
  ])('reads the credential scope of a header with %s in place of the access key', (_, key, accessKeyId) => {
    const value = `AWS4-HMAC-SHA256 Credential=${key}/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab`;
    expect(parseCredentialScope(header(value), undefined)).toEqual({
      accessKeyId,
      date: '20260101',
      region: 'us-east-1',
      service: 'bedrock',
    });
  });

  it.each([
    ['encoded', 'a=1&X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-west-1%2Fbedrock%2Faws4_request&X-Amz-Date=x'],
    ['raw', 'X-Amz-Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request'],
    ['under an encoded name', 'X%2DAmz%2DCredential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request'],
  ])('reads the credential scope of a query, %s', (_, query) => {
    expect(parseCredentialScope([], query)).toEqual(SCOPE);
  });

  it('prefers the credential scope of the header to that of the query', () => {
    const value = 'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request, Signature=ab';
    const query = 'X-Amz-Credential=OTHER/20260101/us-east-1/bedrock/aws4_request';
    expect(parseCredentialScope(header(value), query)).toEqual(SCOPE);
  });

  it.each([
    ['a bearer token', 'Bearer sk-abc'],
    ['nothing', ''],
    ['the scheme alone', 'AWS4-HMAC-SHA256'],
    ['no credential', 'AWS4-HMAC-SHA256 SignedHeaders=host'],
    ['an empty credential', 'AWS4-HMAC-SHA256 Credential=, Signature=ab'],
    ['a short scope', 'AWS4-HMAC-SHA256 Credential=20260101/us-east-1/bedrock/aws4_request'],
    ['an empty region', 'AWS4-HMAC-SHA256 Credential=AKID/20260101//bedrock/aws4_request'],
    ['another terminator', 'AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/bedrock/aws5_request'],
    ['SigV4a', 'AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/bedrock/aws4_request, Signature=ab'],
    ['bytes', 'AWS4-HMAC-SHA256 Credential=\u0000\u00ff/%/%zz'],
  ])('finds no credential scope in %s', (_, value) => {
    expect(parseCredentialScope(header(value), 'X-Amz-Credential=%zz%')).toBeUndefined();
  });

  it('stays fast on a header made to slow it down', () => {
    const value = `AWS4-HMAC-SHA256 ${'Credential='.repeat(5000)}${'/'.repeat(60_000)}`;
    const before = performance.now();
    expect(parseCredentialScope(header(value), undefined)).toBeUndefined();
    expect(performance.now() - before).toBeLessThan(100);
  });
});
