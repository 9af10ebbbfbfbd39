/**
 * The published vectors of the AWS Signature Version 4 Test Suite, as the botocore source distribution carries them;
 * the values alone, in test/fixtures/sigv4-suite.json.
 */
import { parseTarget } from '../../src/http/target.ts';
import { readFileSync } from 'node:fs';
import type { SignableRequest } from '../../src/protocol/sigv4/canonical.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { toWire } from './sigv4-signing.ts';

export interface SuiteVector {
  readonly name: string;
  /** With the Authorization header of the vector, in wire form. */
  readonly request: SignableRequest;
  readonly body: string;
  readonly signedHeaders: readonly string[];
  /** In wire form. */
  readonly canonicalRequest: string;
  readonly signature: string;
}

interface StoredVector {
  name: string;
  method: string;
  target: string;
  headers: [string, string][];
  body: string;
  signedHeaders: string;
  canonicalRequest: string;
  signature: string;
}

interface StoredSuite {
  accessKeyId: string;
  secretAccessKey: string;
  scope: string;
  vectors: StoredVector[];
}

/** 2015-08-30T12:36:00Z, the moment of every vector. */
export const SUITE_NOW_MS = Date.UTC(2015, 7, 30, 12, 36, 0);

export function readSigV4Suite(): { secretAccessKey: string; vectors: SuiteVector[] } {
  const file = new URL('../fixtures/sigv4-suite.json', import.meta.url);
  const stored = JSON.parse(readFileSync(file, 'utf8')) as StoredSuite;
  const vectors = stored.vectors.map((vector): SuiteVector => {
    const authorization =
      `AWS4-HMAC-SHA256 Credential=${stored.accessKeyId}/${stored.scope}, ` +
      `SignedHeaders=${vector.signedHeaders}, Signature=${vector.signature}`;
    const headers = vector.headers.map(([name, value]): HeaderPair => [name, toWire(value)]);
    return {
      name: vector.name,
      request: {
        method: vector.method,
        target: parseTarget(toWire(vector.target)),
        headers: [...headers, ['Authorization', authorization]],
        authority: 'example.amazonaws.com',
      },
      body: vector.body,
      signedHeaders: vector.signedHeaders.split(';'),
      canonicalRequest: toWire(vector.canonicalRequest),
      signature: vector.signature,
    };
  });
  return { secretAccessKey: stored.secretAccessKey, vectors };
}
