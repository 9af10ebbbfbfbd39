/**
 * Signs requests with @smithy/signature-v4, the signer of the AWS SDK for JavaScript: an oracle that shares no code
 * with our verification. Gives requests in the shape a socket delivers them: one character per byte.
 */
import { parseTarget } from '../../src/http/target.ts';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { createHash } from 'node:crypto';
import type { HeaderPair } from '../../src/http/message.ts';
import type { SignableRequest } from '../../src/protocol/sigv4/canonical.ts';

export const ACCESS_KEY_ID = 'AKIDEXAMPLE';
export const SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
/** 2026-03-14T15:09:26.535Z */
export const SIGNED_AT_MS = Date.UTC(2026, 2, 14, 15, 9, 26, 535);

export interface RequestToSign {
  readonly method: string;
  /** Raw, as it will stand in the request line. */
  readonly path: string;
  /** Decoded. */
  readonly query?: Record<string, string | string[]>;
  /** Lower-case names; `host` is added. */
  readonly headers?: Record<string, string>;
  readonly host?: string;
  /** Sign `:authority` and send no `host`, as the SDK does over HTTP/2. */
  readonly isHttp2?: boolean;
  readonly body?: Uint8Array | string;
  readonly service?: string;
  readonly region?: string;
  readonly sessionToken?: string;
  /** Default true: sends `x-amz-content-sha256`. */
  readonly sendsPayloadHash?: boolean;
  /** Sign in the query instead, for so many seconds. */
  readonly presignSeconds?: number;
  /** Default SIGNED_AT_MS. */
  readonly atMs?: number;
  readonly secretAccessKey?: string;
  readonly accessKeyId?: string;
}

/** The signed request, and the hash of its body. */
export async function signWithSdk(toSign: RequestToSign): Promise<{ request: SignableRequest; bodySha256Hex: string }> {
  const signer = new SignatureV4({
    service: toSign.service ?? 'bedrock',
    region: toSign.region ?? 'us-east-1',
    sha256: Sha256,
    uriEscapePath: true,
    applyChecksum: toSign.sendsPayloadHash ?? true,
    credentials: {
      accessKeyId: toSign.accessKeyId ?? ACCESS_KEY_ID,
      secretAccessKey: toSign.secretAccessKey ?? SECRET_ACCESS_KEY,
      ...(toSign.sessionToken === undefined ? {} : { sessionToken: toSign.sessionToken }),
    },
  });
  const host = toSign.host ?? 'localhost:4000';
  const hostName = toSign.isHttp2 === true ? ':authority' : 'host';
  const unsigned = {
    method: toSign.method,
    protocol: 'http:',
    hostname: 'localhost',
    path: toSign.path,
    query: { ...toSign.query },
    headers: { [hostName]: host, ...toSign.headers },
    body: toSign.body,
  };
  const signingDate = new Date(toSign.atMs ?? SIGNED_AT_MS);
  const signed =
    toSign.presignSeconds === undefined
      ? await signer.sign(unsigned, { signingDate })
      : await signer.presign(unsigned, { signingDate, expiresIn: toSign.presignSeconds });
  const query = writeQuery({ ...signed.query });
  const headers = Object.entries(signed.headers)
    .filter(([name]) => name !== ':authority')
    .map(([name, value]): HeaderPair => [name, toWire(value)]);
  const request: SignableRequest = {
    method: toSign.method,
    target: parseTarget(toWire(toSign.path) + (query === '' ? '' : `?${query}`)),
    headers,
    authority: host,
  };
  return { request, bodySha256Hex: hashHex(toSign.body ?? '') };
}

/**
 * The header lines of a request that a client signs now with a virtual key's pair, its host included; without a
 * length.
 */
export async function signLines(
  key: { readonly accessKeyId: string; readonly key: string },
  toSign: RequestToSign,
): Promise<string[]> {
  const { request } = await signWithSdk({
    accessKeyId: key.accessKeyId,
    secretAccessKey: key.key,
    atMs: Date.now(),
    ...toSign,
  });
  return request.headers.map((pair) => pair.join(': '));
}

/** Text as a socket would deliver it: each character one byte of its UTF-8 form. */
export function toWire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

export function hashHex(body: Uint8Array | string): string {
  return createHash('sha256').update(body).digest('hex');
}

function writeQuery(query: Record<string, string | string[] | null>): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) {
      pairs.push(one === '' ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(one)}`);
    }
  }
  return pairs.join('&');
}
