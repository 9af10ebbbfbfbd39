/**
 * Whose request it is, for AWS's invocation logs: the header that AWS documents for InvokeModel. Pure. Bodies are never
 * touched, so that Converse, which has its metadata there, has none of ours.
 */
import type { Principal } from '../domain/principal.ts';
import type { HeaderPair } from '../http/message.ts';
import { ProxyError } from '../lib/errors.ts';
import type { Route } from '../routing/route.ts';

const HEADER = 'x-amzn-bedrock-request-metadata';
const OPERATIONS: ReadonlySet<string | undefined> = new Set(['InvokeModel', 'InvokeModelWithResponseStream']);
/** Of `requestMetadata`: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. */
const MAX_ENTRIES = 16;
const MAX_LENGTH = 256;
const MISFITS = /[^a-zA-Z0-9\s:_@$#=/+,.-]/g;
/** The name of the key. Tags can have any other name, and this one too: then it is the key's all the same. */
const KEY_NAME = 'bedrock_proxy_key';

/**
 * The headers with what is to be told of the principal. Its entries come before the client's, which fill up what AWS
 * takes and change none of them. Throws ERR_BAD_REQUEST for a header of the client that cannot be read: nobody is to
 * stay unnamed by it.
 */
export function addRequestMetadata(
  headers: readonly HeaderPair[],
  { service, operation }: Pick<Route, 'service' | 'operation'>,
  principal: Principal,
): readonly HeaderPair[] {
  if (service !== 'bedrock-runtime' || !OPERATIONS.has(operation)) return headers;
  const others = headers.filter(([name]) => name.toLowerCase() !== HEADER);
  const given = headers.filter(([name]) => name.toLowerCase() === HEADER).map(([, value]) => value);
  const entries = new Map<string, string>([...entriesOf(principal)].slice(0, MAX_ENTRIES));
  for (const [name, value] of readGiven(given)) {
    if (entries.size < MAX_ENTRIES && !entries.has(name)) entries.set(name, value);
  }
  return [...others, [HEADER, toAscii(JSON.stringify(Object.fromEntries(entries)))]];
}

function entriesOf(principal: Principal): ReadonlyMap<string, string> {
  const isKey = principal.kind === 'key';
  const key: [string, string] = [KEY_NAME, isKey ? (principal.alias ?? principal.keyId) : principal.kind];
  const all = [key, ...(isKey ? Object.entries(principal.tags).filter(([name]) => name !== KEY_NAME) : [])];
  return new Map(all.map(([name, value]) => [fit(name), fit(value)]));
}

function fit(text: string): string {
  return text.replaceAll(MISFITS, '-').slice(0, MAX_LENGTH);
}

function readGiven(values: readonly string[]): readonly (readonly [string, string])[] {
  const [value, ...more] = values;
  if (value === undefined) return [];
  const parsed = more.length === 0 ? parse(value) : undefined;
  const pairs = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? Object.entries(parsed) : [];
  if (pairs.length === 0 && !/^\s*\{\s*\}\s*$/.test(value)) throw unreadable();
  return pairs.map(([name, text]: [string, unknown]) => {
    if (typeof text !== 'string') throw unreadable();
    return [name, text];
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', 'X-Amzn-Bedrock-Request-Metadata must be one JSON object of texts.', {
    hint: 'The proxy adds to it whose request it is (--request-metadata).',
  });
}

/** A header has no other letters; JSON can write them all the same. */
function toAscii(json: string): string {
  return json.replaceAll(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
