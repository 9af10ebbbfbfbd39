import { parseTarget } from '../../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import {
  canonicalHeaderValue,
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  type SignableRequest,
} from '../../../src/protocol/sigv4/canonical.ts';
import { hashHex } from '../../helpers/sigv4-signing.ts';
import { readSigV4Suite } from '../../helpers/sigv4-suite.ts';

describe('canonicalRequest', () => {
  it.each(readSigV4Suite().vectors)('writes the canonical request of the AWS test suite: $name', (vector) => {
    expect(canonicalRequest(vector.request, vector.signedHeaders, hashHex(vector.body))).toBe(vector.canonicalRequest);
  });

  it('writes an empty value for a signed header that did not arrive', () => {
    const request: SignableRequest = { method: 'GET', target: parseTarget('/a?b'), headers: [], authority: 'h' };
    expect(canonicalRequest(request, ['host', 'x-lost'], 'hash')).toBe(
      'GET\n/a\nb=\nhost:h\nx-lost:\n\nhost;x-lost\nhash',
    );
  });
});

describe('canonicalPath', () => {
  it.each([
    { name: 'an empty path', path: '', canonical: '/' },
    {
      name: 'a model id with an encoded colon',
      path: '/model/a.b-v1%3A0/invoke',
      canonical: '/model/a.b-v1%253A0/invoke',
    },
    { name: 'a model id with a raw colon', path: '/model/a.b-v1:0/invoke', canonical: '/model/a.b-v1%3A0/invoke' },
    {
      name: 'an encoded ARN',
      path: '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse',
      canonical: '/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ainference-profile%252Fx/converse',
    },
    { name: 'lower-case escapes', path: '/a%2fb', canonical: '/a%252fb' },
    { name: 'a malformed escape', path: '/a%zz%', canonical: '/a%25zz%25' },
    { name: 'slashes after the mount', path: '/bedrock//model/x/', canonical: '/bedrock/model/x/' },
    { name: 'a path of slashes', path: '///', canonical: '/' },
    { name: 'dot segments', path: '/a/./b/../c', canonical: '/a/c' },
    { name: 'more steps up than there are', path: '/../../a', canonical: '/a' },
    { name: 'a trailing step up', path: '/a/b/..', canonical: '/a' },
    { name: 'encoded dots, which stay', path: '/a/%2e%2e/b', canonical: '/a/%252e%252e/b' },
    { name: 'sub-delimiters', path: "/!$&'()*+,;=@", canonical: '/%21%24%26%27%28%29%2A%2B%2C%3B%3D%40' },
    { name: 'bytes above ASCII', path: '/\u00e1\u0088\u00b4', canonical: '/%E1%88%B4' },
    { name: 'bytes below 16', path: '/\u0001', canonical: '/%01' },
  ])('encodes a canonical path: $name', ({ path, canonical }) => {
    expect(canonicalPath(path)).toBe(canonical);
  });
});

describe('canonicalQuery', () => {
  it.each([
    { name: 'nothing', query: '', canonical: '' },
    { name: 'a name without a value', query: 'k', canonical: 'k=' },
    { name: 'an empty value', query: 'k=', canonical: 'k=' },
    { name: 'empty pairs, which do not count', query: '&a=1&&b=2&', canonical: 'a=1&b=2' },
    { name: 'names out of order', query: 'b=1&a=2&B=3', canonical: 'B=3&a=2&b=1' },
    { name: 'values out of order', query: 'a=b&a=B&a=1', canonical: 'a=1&a=B&a=b' },
    { name: 'a name that another begins with', query: 'ab=1&a-=2&a=3', canonical: 'a=3&a-=2&ab=1' },
    { name: 'a value with equals signs', query: 'a==b=', canonical: 'a=%3Db%3D' },
    { name: 'what need not be encoded', query: 'a=%7E%41', canonical: 'a=~A' },
    { name: 'what should have been encoded', query: 'a=x:/y', canonical: 'a=x%3A%2Fy' },
    { name: 'lower-case escapes', query: 'a=%2f', canonical: 'a=%2F' },
    { name: 'a plus sign', query: 'a=1+2', canonical: 'a=1%2B2' },
    { name: 'a malformed escape', query: 'a=%zz%', canonical: 'a=%25zz%25' },
    { name: 'its own signature, which does not count', query: 'X-Amz-Signature=f&a=1', canonical: 'a=1' },
    { name: 'a second question mark', query: 'a=?', canonical: 'a=%3F' },
  ])('writes a canonical query: $name', ({ query, canonical }) => {
    expect(canonicalQuery(query)).toBe(canonical);
  });
});

describe('canonicalHeaderValue', () => {
  const request: SignableRequest = {
    method: 'GET',
    target: parseTarget('/'),
    headers: [
      ['X-Twice', ' a '],
      ['x-spaced', '\t  "a   b"\t c  '],
      ['x-twice', 'b  c'],
      ['x-folded', 'a\r\n  b'],
      ['x-empty', ''],
    ],
    authority: 'localhost:4000',
  };

  it.each([
    { name: 'joins repeats', header: 'x-twice', value: 'a,b c' },
    { name: 'collapses whitespace, inside quotes too', header: 'x-spaced', value: '"a b" c' },
    { name: 'unfolds lines', header: 'x-folded', value: 'a b' },
    { name: 'keeps an empty value', header: 'x-empty', value: '' },
    { name: 'takes host from the authority', header: 'host', value: 'localhost:4000' },
    { name: 'takes :authority from the authority', header: ':authority', value: 'localhost:4000' },
    { name: 'finds nothing where there is nothing', header: 'x-none', value: undefined },
  ])('writes a canonical header value: it $name', ({ header, value }) => {
    expect(canonicalHeaderValue(request, header)).toBe(value);
  });

  it('takes a host header that arrived beside :authority as it is', () => {
    const both: SignableRequest = { ...request, headers: [['host', 'other']] };
    expect(canonicalHeaderValue(both, 'host')).toBe('other');
    expect(canonicalHeaderValue(both, ':authority')).toBe('localhost:4000');
  });
});
