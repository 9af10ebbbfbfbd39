/** Fuzz targets that read text of clients and owners: they throw nothing but our errors, and keep their promises. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert';
import { posix } from 'node:path';
import { MAX_MODEL_LENGTH, parseModelName, withoutGeography } from '../../src/domain/model-name.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { parseTarget } from '../../src/http/target.ts';
import { parsePresentedCredential } from '../../src/keys/presented-credential.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { matchesGlob } from '../../src/lib/glob.ts';
import { escapeUnprintable, isPrintable, printable, quote } from '../../src/lib/printable.ts';
import { findInPriceFile, parsePriceFile } from '../../src/pricing/price-file.ts';
import { refuseMalformedArn } from '../../src/protocol/arn-check.ts';
import { decodeSegment, findArnInPath, parseArn } from '../../src/protocol/arn.ts';
import { PARTITIONS } from '../../src/protocol/partitions.ts';
import { canonicalRequest, type SignableRequest } from '../../src/protocol/sigv4/canonical.ts';
import { deriveSigningKey } from '../../src/protocol/sigv4/key.ts';
import { parseSigV4 } from '../../src/protocol/sigv4/parse.ts';
import { verifySigV4 } from '../../src/protocol/sigv4/verify.ts';
import { findRoute, type RoutingConfig } from '../../src/routing/route.ts';
import * as schemas from '../../src/admin/schemas.ts';
import * as spendSchemas from '../../src/admin/spend-schemas.ts';
import { SECRET_ACCESS_KEY, SIGNED_AT_MS, signWithSdk } from '../helpers/sigv4-signing.ts';
import type { FuzzTarget } from './engine.ts';

/** What a call gives; undefined if it throws one of our errors. Everything else that it throws is a finding. */
function unlessRefused<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch (thrown) {
    if (thrown instanceof ProxyError && thrown.code !== 'ERR_INTERNAL') return undefined;
    throw thrown;
  }
}

/** Method, target and headers, one on each line, as a listener would hand them on: one character per byte. */
function readRequest(input: Buffer): SignableRequest {
  const [head = '', ...lines] = input.toString('latin1').split('\n');
  const [method = 'GET', target = '/'] = head.split(' ');
  const headers = lines.flatMap((line): HeaderPair[] => {
    const colon = line.indexOf(':');
    return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
  });
  const authority = headers.find(([name]) => name.toLowerCase() === 'host')?.[1];
  return { method, target: parseTarget(target), headers, authority };
}

/** The reverse. */
function writeRequest({ method, target, headers }: SignableRequest): Buffer {
  const lines = [`${method} ${target.raw}`, ...headers.map(([name, value]) => `${name}:${value}`)];
  return Buffer.from(lines.join('\n'), 'latin1');
}

const BODY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const SIGNED = await Promise.all(
  [
    { method: 'POST', path: '/model/anthropic.claude/converse' },
    { method: 'GET', path: '/foundation-models', query: { byProvider: 'Anthropic', a: ['1', '2'] } },
    { method: 'POST', path: '/model/a%3Ab/invoke', headers: { 'x-amzn-meta': 'a  b', accept: '*/*' } },
    { method: 'GET', path: '/guardrails', presignSeconds: 600 },
    { method: 'POST', path: '/model/a/invoke', sessionToken: 'token', sendsPayloadHash: false },
  ].map(async (toSign) => (await signWithSdk(toSign)).request),
);

/** Requests that were signed, as inputs. */
export const SIGNED_SEEDS: readonly Buffer[] = SIGNED.map(writeRequest);

function canonicalOf(request: SignableRequest): string | undefined {
  const parsed = unlessRefused(() => parseSigV4(request));
  return parsed && canonicalRequest(parsed.request, parsed.signedHeaders, parsed.declaredPayloadHash ?? BODY_SHA256);
}

const CANONICAL = new Set(SIGNED.map(canonicalOf));

/** What a signature covers whatever headers it lists, read without our canonical form. */
function coveredOf({ method, target }: SignableRequest): string {
  const query = [...new URLSearchParams(target.query?.replaceAll('+', '%2B') ?? '')].map((pair) => pair.join('='));
  return [method, posix.normalize(target.path), ...query.toSorted()].join('\n');
}

const COVERED = new Map(SIGNED.map((request) => [parseSigV4(request)?.signature, coveredOf(request)]));

/** A signature is right for a request that was signed, and for no other: whatever a mutation changes, it is none. */
export const SIGV4: FuzzTarget = {
  name: 'sigv4',
  words: [
    'AWS4-HMAC-SHA256 ',
    'Credential=',
    'SignedHeaders=host;',
    'Signature=',
    '/aws4_request',
    'x-amz-date:',
    '%2F',
    '%',
    '&X-Amz-Signature=',
    'X-Amz-Expires=',
    '\nhost:localhost:4000',
    '\nx-amz-content-sha256:',
  ],
  check: (input) => {
    const request = readRequest(input);
    const parsed = unlessRefused(() => parseSigV4(request));
    if (parsed === undefined) return;
    const verdict = verifySigV4({
      parsed,
      signingKey: deriveSigningKey(SECRET_ACCESS_KEY, parsed.scope),
      bodySha256Hex: BODY_SHA256,
      nowMs: SIGNED_AT_MS,
    });
    ok(verdict.ok || !SIGNED_SEEDS.some((seed) => seed.equals(input)), 'a signature was wrong for what was signed');
    if (!verdict.ok) return;
    ok(CANONICAL.has(canonicalOf(request)), 'a signature was right for what nobody signed');
    strictEqual(coveredOf(request), COVERED.get(parsed.signature));
  },
};

/** What a client shows as its credential. */
export const CREDENTIAL: FuzzTarget = {
  name: 'credential',
  words: ['authorization:Bearer sk-', 'x-api-key:sk-', 'AWS4-HMAC-SHA256 Credential=', 'api-key:', ', ', 'Bearer eyJ'],
  check: (input) => {
    const { headers, target } = readRequest(input);
    const presented = unlessRefused(() => parsePresentedCredential(headers, target.query));
    for (const token of presented?.tokens ?? []) ok(token !== '' && token === token.trim(), 'a token that is none');
    const { oauthAuthorization } = presented ?? {};
    if (oauthAuthorization !== undefined) ok(headers.some(([, value]) => value === oauthAuthorization));
  },
};

const ROUTING: RoutingConfig = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};
const AWS_DOMAINS = PARTITIONS.flatMap(({ dnsSuffix, dualStackDnsSuffix }) => [dnsSuffix, dualStackDnsSuffix]);

/** Every route leads to a host of AWS, in one of its regions, and its target is printable ASCII without a fragment. */
export const ROUTES: FuzzTarget = {
  name: 'routes',
  words: [
    '/bedrock/model/',
    '/converse',
    '/invoke-with-response-stream',
    '/bedrock/bedrock-agent-runtime/',
    '/openai/v1/',
    'arn:aws:bedrock:eu-west-1:123456789012:',
    'arn%3Aaws%3A',
    '%2F',
    '/..',
    '//',
    '?',
    '@evil.example',
    '\\',
    '\nx-bedrock-proxy-region:us-east-1',
    '\nx-amz-target:',
    '\nauthorization:AWS4-HMAC-SHA256 Credential=a/1/eu-west-1/',
  ],
  check: (input) => {
    const { method, target, headers } = readRequest(input);
    const presented = unlessRefused(() => parsePresentedCredential(headers, target.query));
    if (presented === undefined) return;
    const request = { method, target, headers, scope: presented.scope, mountPath: '/bedrock', config: ROUTING };
    const route = unlessRefused(() => findRoute(request));
    if (route === undefined) return;
    const { hostname, protocol, username, pathname } = new URL(route.origin);
    strictEqual(`${protocol}//${hostname}`, route.origin);
    strictEqual(username + pathname, '/');
    ok(
      AWS_DOMAINS.some((domain) => domain !== undefined && hostname.endsWith(`.${domain}`)),
      `leads to ${hostname}`,
    );
    ok(hostname.includes(route.region), `${hostname} is not in ${route.region}`);
    ok(/^\/[\x21-\x7e]*$/.test(route.upstreamTarget.raw), 'a target that no request line can have');
    ok(!route.upstreamTarget.path.includes('#'), 'a target with a fragment');
  },
};

/** ARNs in paths. */
export const ARNS: FuzzTarget = {
  name: 'arns',
  words: ['arn:aws:bedrock:', 'arn%3Aaws%3Abedrock%3A', ':foundation-model/', '123456789012', '%25', '%', '/', ':'],
  check: (input) => {
    const text = input.toString('latin1');
    const decoded = decodeSegment(text);
    if (!text.includes('%')) strictEqual(decoded, text);
    const arn = parseArn(text);
    if (arn !== undefined) ok(text.startsWith('arn:'));
    const found = findArnInPath(text);
    if (found !== undefined) ok(/arn/i.test(decodeSegment(text)));
    unlessRefused(() => refuseMalformedArn(text));
  },
};

function checkGlob(pattern: string, text: string): void {
  const matches = matchesGlob(pattern, text);
  const pieces = pattern.split('*');
  // A regular expression with more stars may take for ever.
  if (pieces.length > 4) return;
  const escaped = pieces.map((piece) => piece.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  strictEqual(matches, new RegExp(`^${escaped.join('[^]*')}$`).test(text));
}

/** Patterns as a regular expression reads them, and names of models whose forms stand for themselves. */
export const NAMES: FuzzTarget = {
  name: 'globs-and-models',
  words: ['*', '**', 'us.', 'global.', 'anthropic.claude-', 'arn:aws:bedrock:us-east-1::foundation-model/', '\n', ':0'],
  maxBytes: 600,
  check: (input) => {
    const text = input.toString('utf8');
    const [pattern = '', name = ''] = text.split('\n', 2);
    checkGlob(pattern, name);
    // With two letters alone the pieces of a pattern are often found, and overlap.
    const [few = '', letters = ''] = text
      .replaceAll(/[^*\n]/g, (one) => 'ab'.charAt(one.charCodeAt(0) & 1))
      .split('\n', 2);
    checkGlob(few, letters);
    const { forms, raw, priceName, lookup } = parseModelName(name);
    strictEqual(raw, name);
    strictEqual(forms[0], name);
    strictEqual(new Set(forms).size, forms.length);
    ok(priceName === undefined || lookup === undefined, 'a model that says its name is not looked up');
    if (name.length > MAX_MODEL_LENGTH) deepStrictEqual(forms, [name]);
    const bare = withoutGeography(name);
    ok(name.endsWith(bare));
  },
};

const SCHEMAS = [schemas, spendSchemas].flatMap((module) =>
  Object.entries(module).filter(([name]) => /Request$|Query$/.test(name)),
) as unknown as readonly [string, { safeParse(value: unknown): { success: boolean } }][];

/** The first byte says which request of the admin API it is. A schema says no, and never throws. */
export const ADMIN: FuzzTarget = {
  name: 'admin',
  words: [
    '"key_alias":"a"',
    '"max_budget":1',
    '"budget_duration":"30d"',
    '"models":["*"]',
    '"metadata":{}',
    '"key":"sk-1"',
    '"duration":"1mo"',
    '"tags":["a"]',
    '__proto__',
    'constructor',
    '1e999',
    '-0',
    '[]',
    'null',
  ],
  check: (input) => {
    const body = parseLoosely(input.subarray(1));
    const [, schema] = SCHEMAS[(input[0] ?? 0) % SCHEMAS.length] ?? [];
    ok(schema !== undefined);
    unlessRefused(() => schema.safeParse(body));
    strictEqual(Reflect.get({}, 'polluted'), undefined);
  },
};

function parseLoosely(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString('utf8'));
  } catch {
    return Object.fromEntries(new URLSearchParams(input.toString('utf8')));
  }
}

/** What moves a cursor, turns a line round, or hides; not by the rule that is tested. */
// oxlint-disable-next-line no-control-regex
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/** Text of strangers on its way to a terminal. */
export const PRINTABLE: FuzzTarget = {
  name: 'printable',
  words: ['\u001b[2J', '\u202e', '\ud83d', '\u2028', '\u0000', '\u009b', '\u{1f600}'].map((word) =>
    Buffer.from(word, 'utf8').toString('latin1'),
  ),
  check: (input) => {
    // UTF-16, so that there are lone surrogates too.
    const text = input.toString(input.length % 2 === 0 ? 'utf16le' : 'utf8');
    for (const shown of [printable(text), printable(text, 7), quote(text)]) {
      ok(isPrintable(shown) && shown.isWellFormed() && !HARMFUL.test(shown), 'not printable');
    }
    ok(printable(text, 7).length <= 7);
    if (isPrintable(text) && text.length <= 100) strictEqual(printable(text), text);
    const json = escapeUnprintable(JSON.stringify({ text }));
    ok(isPrintable(json));
    strictEqual((JSON.parse(json) as { text: string }).text, text);
  },
};

/** Price files say what is wrong, or give prices that are numbers from 0 on. */
export const PRICE_FILE: FuzzTarget = {
  name: 'price-file',
  words: [
    '{"models":{',
    '"input_mtok":1',
    '"output_mtok":15',
    '"cache_write_1h_mtok":2',
    '"image":0.04',
    '"tiers":{"flex":{',
    '"guardrail_units":{',
    '__proto__',
    '"*":{',
    '-1',
    '1e300',
    '1e-7',
    '0.0000000000001',
  ],
  check: (input) => {
    const file = unlessRefused(() => parsePriceFile(input.toString('utf8')));
    if (file === undefined) return;
    for (const tier of ['standard', 'flex'] as const) {
      const price = findInPriceFile(file, parseModelName('anthropic.claude-opus-4-7'), {
        tier,
        region: 'eu-west-1',
        variant: undefined,
      });
      for (const value of Object.values(price ?? {})) {
        if (typeof value === 'number') ok(Number.isSafeInteger(value) && value >= 0, `a price of ${value}`);
      }
    }
  },
};
