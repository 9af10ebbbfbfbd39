/**
 * What was signed, made anew from a head whose credentials are masked: it shows how the signature came about, and lets
 * nobody make one. Pure.
 */
import { createHash } from 'node:crypto';
import { findHeader, type HeaderPair } from '../http/message.ts';
import { parseTarget } from '../http/target.ts';
import { canonicalRequest } from '../protocol/sigv4/canonical.ts';
import type { KeptSigning } from './exchange.ts';

/** A head as it went out, masked. */
export interface MaskedHead {
  readonly method: string;
  /** Raw. */
  readonly target: string;
  readonly headers: readonly HeaderPair[];
}

/** How it is authorized. */
export function describeSigning({ method, target, headers }: MaskedHead): KeptSigning {
  const authorization = findHeader(headers, 'authorization') ?? '';
  const [, credential = '', names = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^,]*), SignedHeaders=([^,]*),/.exec(authorization) ?? [];
  if (credential === '') return { scheme: /^bearer /i.test(authorization) ? 'bearer' : 'none' };
  const [accessKeyId = '', ...scope] = credential.split('/');
  const signedHeaders = names.split(';');
  const payloadHash = findHeader(headers, 'x-amz-content-sha256') ?? '';
  const request = { method, target: parseTarget(target), headers, authority: undefined };
  const canonical = canonicalRequest(request, signedHeaders, payloadHash);
  return {
    scheme: 'sigv4',
    accessKeyId,
    scope: scope.join('/'),
    signedHeaders,
    payloadHash,
    canonicalRequest: canonical,
    stringToSign: [
      'AWS4-HMAC-SHA256',
      findHeader(headers, 'x-amz-date') ?? '',
      scope.join('/'),
      createHash('sha256').update(canonical).digest('hex'),
    ].join('\n'),
  };
}
