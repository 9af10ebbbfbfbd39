import { Sha256 } from '@aws-crypto/sha256-js';
import { HeaderMarshaller } from '@smithy/eventstream-codec';
import { SignatureV4 } from '@smithy/signature-v4';
import { describe, expect, it } from 'vitest';
import {
  deriveSigningKey,
  formatTimestamp,
  isSameSignature,
  scopeText,
  signFrame,
  signString,
  stringToSign,
  type CredentialScope,
} from '../../../src/protocol/sigv4/key.ts';
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, SIGNED_AT_MS } from '../../helpers/sigv4-signing.ts';
import { readSigV4Suite } from '../../helpers/sigv4-suite.ts';

const SUITE_SCOPE: CredentialScope = {
  date: '20150830',
  region: 'us-east-1',
  service: 'service',
  terminator: 'aws4_request',
};

describe('deriveSigningKey', () => {
  it('derives the signing key of the example in the AWS documentation', () => {
    const key = deriveSigningKey(SECRET_ACCESS_KEY, { ...SUITE_SCOPE, service: 'iam' });
    expect(key.export().toString('hex')).toBe('c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9');
  });
});

describe('signString', () => {
  const { secretAccessKey, vectors } = readSigV4Suite();
  const signingKey = deriveSigningKey(secretAccessKey, SUITE_SCOPE);

  it.each(vectors)('signs the string of the AWS test suite: $name', ({ canonicalRequest, signature }) => {
    expect(signString(signingKey, stringToSign('20150830T123600Z', SUITE_SCOPE, canonicalRequest))).toBe(signature);
  });
});

describe('signFrame', () => {
  it('signs a chain of frames as the signer of the SDK does, up to the empty frame', async () => {
    const scope: CredentialScope = { ...SUITE_SCOPE, date: '20260314', service: 'bedrock' };
    const signer = new SignatureV4({
      service: 'bedrock',
      region: scope.region,
      sha256: Sha256,
      credentials: { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
    });
    const marshaller = new HeaderMarshaller(
      (bytes) => Buffer.from(bytes).toString(),
      (text) => Buffer.from(text),
    );
    let priorSignature = 'ab'.repeat(32);
    for (const [index, text] of ['first', 'second \u00fc', ''].entries()) {
      const date = new Date(SIGNED_AT_MS + index * 1234);
      const payload = Buffer.from(text);
      const headers = marshaller.format({ ':date': { type: 'timestamp', value: date } });
      const expected = await signer.sign({ headers, payload }, { signingDate: date, priorSignature });
      const signingKey = deriveSigningKey(SECRET_ACCESS_KEY, scope);
      expect(signFrame({ signingKey, scope, priorSignature, dateMs: date.getTime(), payload })).toBe(expected);
      priorSignature = expected;
    }
  });
});

describe('isSameSignature', () => {
  const signature = 'a1'.repeat(32);

  it.each([
    { name: 'the same', other: signature, same: true },
    { name: 'one that differs in its last character', other: `${signature.slice(0, -1)}2`, same: false },
    { name: 'a shorter one', other: signature.slice(2), same: false },
    { name: 'the same in upper case', other: signature.toUpperCase(), same: false },
    { name: 'an empty one', other: '', same: false },
  ])('compares a signature with $name', ({ other, same }) => {
    expect(isSameSignature(signature, other)).toBe(same);
    expect(isSameSignature(other, signature)).toBe(same);
  });

  it('does not take two texts that are no signatures for the same one', () => {
    expect(isSameSignature('', '')).toBe(false);
  });
});

describe('texts', () => {
  it('writes times without milliseconds, and scopes with slashes', () => {
    expect(formatTimestamp(SIGNED_AT_MS)).toBe('20260314T150926Z');
    expect(scopeText(SUITE_SCOPE)).toBe('20150830/us-east-1/service/aws4_request');
  });
});
