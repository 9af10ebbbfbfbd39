/**
 * Credentials out of heads, before anything is kept: what remains tells people which one it was, and lets nobody use
 * it. Pure.
 */
import type { HeaderPair } from '../http/message.ts';
import { splitQuery } from '../http/target.ts';

/** What stands in the place of a value. */
export const MASKED = '[masked]';

/** Headers whose whole value is a credential, by how their names end: every gateway has one of its own. */
const SECRET_HEADER = new RegExp(
  [
    '(?:authorization|cookie2?|token|secret|password|passwd|passphrase|credentials?|signature|assertion|jwt)$',
    '(?:^|[-_])(?:auth|bearer|sid|session|cert|xsrf|csrf|oidc-data)$|(?:^|[-_]|api|access|private|secret)key$',
    '^x-amz-bedrock-agentcore-.*(?:token|identity)',
  ].join('|'),
  'i',
);
/** Headers that end so, and tell nobody anything. */
const HARMLESS_HEADER = /^(?:sec-websocket-key|(?:x-)?idempotency-key|surrogate-key|x-amz-client-token)$/i;
const SECRET_PARAMETER =
  /^(?:x-amz-(?:signature|security-token)|.*(?:key|token|secret|password|authorization|auth|bearer|signature|assertion|jwt))$/i;
/** Names of what is counted or chosen, not of what is secret. */
const HARMLESS_PARAMETER = /^(?:(?:next|client|continuation|pagination|client-?request)-?token|max-?keys?)$/i;
/** A virtual key or an access key id, wherever it stands. */
const KEY_SHAPE = new RegExp(
  [
    String.raw`\bsk-[\w-]{8,}`,
    String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{12,}`,
    String.raw`\bbedrock-api-key-[\w+/=-]{8,}`,
    String.raw`\bABSK[A-Za-z0-9+/=]{20,}`,
    // A token of OpenID Connect; as browsers bring one to a WebSocket.
    String.raw`\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*`,
    String.raw`\bbase64UrlBearerAuthorization\.[\w=-]+`,
  ].join('|'),
  'g',
);

/** As the proxy itself signs; other spellings are taken apart with more care. */
const OWN_SIGNATURE =
  /^(AWS4-HMAC-SHA256 Credential=)([A-Z0-9]{12,})(\/[^,]+, SignedHeaders=[^,]+, Signature=)[0-9a-f]{64}$/;

/** Whether a header is one of them, by its name as it came: the same names come again and again. */
const KNOWN_NAMES = new Map<string, boolean>();
const MAX_KNOWN_NAMES = 1_000;
const MAX_KNOWN_LENGTH = 60;

/** The same headers, with credentials masked. */
export function maskHeaders(headers: readonly HeaderPair[]): HeaderPair[] {
  return headers.map((pair) => {
    const [name, value] = pair;
    const masked = isSecretHeader(name) ? maskValue(value) : maskKeys(value);
    // The same as it came: layers have most of them in common.
    return masked === value ? pair : [name, masked];
  });
}

function isSecretHeader(name: string): boolean {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  const isSecret = SECRET_HEADER.test(name) && !HARMLESS_HEADER.test(name);
  if (KNOWN_NAMES.size < MAX_KNOWN_NAMES && name.length < MAX_KNOWN_LENGTH) KNOWN_NAMES.set(name, isSecret);
  return isSecret;
}

/** A raw target with the values of credentials in its query masked. */
export function maskTarget(target: string): string {
  const at = target.indexOf('?');
  if (at === -1) return maskKeys(target);
  const query = splitQuery(target.slice(at + 1)).map(([name, value]) => {
    if (value === undefined) return maskKeys(name);
    const plainName = decodeName(name);
    const isSecret = SECRET_PARAMETER.test(plainName) && !HARMLESS_PARAMETER.test(plainName);
    if (/^x-amz-credential$/i.test(plainName)) return `${name}=${maskCredential(value)}`;
    return `${name}=${isSecret ? MASKED : maskKeys(value)}`;
  });
  return `${maskKeys(target.slice(0, at))}?${query.join('&')}`;
}

/** AWS knows a parameter however its name is encoded. */
function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** First four and last four characters; of short ones nothing. */
function maskAccessKeyId(id: string): string {
  return id.length < 12 ? MASKED : `${id.slice(0, 4)}…${id.slice(-4)}`;
}

function maskValue(value: string): string {
  const own = OWN_SIGNATURE.exec(value);
  if (own !== null) return `${own[1]}${maskAccessKeyId(own[2] ?? '')}${own[3]}${MASKED}`;
  const signed = /^(\s*AWS4-\S+\s)(.*)$/s.exec(value);
  if (signed === null) {
    const scheme = /^\s*(?:bearer|basic)\s/i.exec(value)?.[0] ?? '';
    return `${scheme}${MASKED}`;
  }
  const [, algorithm = '', fields = ''] = signed;
  const kept = fields.split(',').map((field) => {
    const [name = '', ...rest] = field.split('=');
    const text = rest.join('=');
    if (/^\s*Credential$/i.test(name)) return `${name}=${maskCredential(text)}`;
    return /^\s*SignedHeaders$/i.test(name) ? field : `${name}=${MASKED}`;
  });
  return `${algorithm}${kept.join(',')}`;
}

/** `AKIA…WXYZ/20261128/us-east-1/bedrock/aws4_request`. */
function maskCredential(text: string): string {
  const parts = text.split(/(\/|%2F)/i);
  const scope = parts.slice(-8);
  if (parts.length < 9) return MASKED;
  return `${maskAccessKeyId(parts.slice(0, -8).join(''))}${scope.join('')}`;
}

/** What every shape has is looked for faster than the shapes. */
function maskKeys(text: string): string {
  if (text.length < 11 || !/sk-|-key-|A[KSBu]|eyJ/.test(text)) return text;
  return text.replaceAll(KEY_SHAPE, (key) =>
    /^A[KS]IA/.test(key)
      ? maskAccessKeyId(key)
      : `${/^(?:[a-zA-Z-]*?-|base64[a-zA-Z]+\.)/.exec(key)?.[0] ?? ''}${MASKED}`,
  );
}
