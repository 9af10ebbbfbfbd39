/**
 * The owner's Amazon Bedrock API key, which may stand in for AWS credentials: read out for its region and expiry, never
 * shown. Pure. Sent as a bearer token; only some services of AWS take it (see `Route.bearerKeys`).
 */

/** An API key as found in AWS_BEARER_TOKEN_BEDROCK. */
export interface BedrockApiKey {
  /** Secret. */
  readonly token: string;
  /** Of a short-term key, which holds a presigned request; undefined for a long-term one. */
  readonly region: string | undefined;
  readonly expiresAtMs: number | undefined;
}

/** Short-term keys: this, and base64 of a presigned URL without its scheme (aws-bedrock-token-generator). */
const SHORT_TERM_PREFIX = 'bedrock-api-key-';

/** Reads a key. Never throws: what cannot be read out is undefined, and AWS judges the key. */
export function readApiKey(token: string): BedrockApiKey {
  if (!token.startsWith(SHORT_TERM_PREFIX)) return { token, region: undefined, expiresAtMs: undefined };
  const presigned = Buffer.from(token.slice(SHORT_TERM_PREFIX.length), 'base64').toString('latin1');
  const query = new URLSearchParams(presigned.slice(presigned.indexOf('?') + 1));
  const region = query.get('X-Amz-Credential')?.split('/')[2];
  const signedAt = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get('X-Amz-Date') ?? '');
  const expires = Number(query.get('X-Amz-Expires') ?? Number.NaN);
  if (signedAt === null || Number.isNaN(expires)) return { token, region, expiresAtMs: undefined };
  const [, year, month, day, hour, minute, second] = signedAt.map(Number);
  const signedAtMs = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
  return { token, region, expiresAtMs: signedAtMs + expires * 1000 };
}
