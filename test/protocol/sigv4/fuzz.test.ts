/**
 * Random requests from a fixed seed, signed by the SDK's own signer: the two implementations share no code, so what
 * they agree on is the specification.
 */
import { parseTarget } from '../../../src/http/target.ts';
import { expect, it } from 'vitest';
import { deriveSigningKey } from '../../../src/protocol/sigv4/key.ts';
import { parseSigV4 } from '../../../src/protocol/sigv4/parse.ts';
import { verifySigV4, type SigV4Verdict } from '../../../src/protocol/sigv4/verify.ts';
import type { SignableRequest } from '../../../src/protocol/sigv4/canonical.ts';
import { SECRET_ACCESS_KEY, SIGNED_AT_MS, signWithSdk, type RequestToSign } from '../../helpers/sigv4-signing.ts';

const ROUNDS = 400;

it('agrees with the signer of the SDK, until the last segment of the path is another', async () => {
  const random = createRandom(20_260_314);
  for (let round = 0; round < ROUNDS; round++) {
    const toSign = inventRequest(random);
    const { request, bodySha256Hex } = await signWithSdk(toSign);
    expect(verdictOf(request, bodySha256Hex), JSON.stringify(toSign)).toMatchObject({ ok: true });
    const other = { ...request, target: parseTarget(request.target.raw.replace(/\?|$/, 'x$&')) };
    const verdict = verdictOf(other, bodySha256Hex);
    expect(verdict, JSON.stringify(toSign)).toMatchObject({ ok: false, reason: 'signature' });
  }
});

function verdictOf(request: SignableRequest, bodySha256Hex: string): SigV4Verdict {
  const parsed = parseSigV4(request);
  if (parsed === undefined) throw new Error('the request has no signature');
  const signingKey = deriveSigningKey(SECRET_ACCESS_KEY, parsed.scope);
  return verifySigV4({ parsed, signingKey, bodySha256Hex, nowMs: SIGNED_AT_MS });
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Pieces of paths, and of decoded text in queries, headers and bodies. */
const PATH_PIECES =
  "/ / / // /. /.. /./ %3A %2F %2f : model a Z 0 - . _ ~ % ! $ & ' ( ) * + , ; = @ %20 | ü ሴ 😀".split(' ');
const TEXT_PIECES = [' ', '  ', '\t', ..."a B 1 = & + % / : ~ * ' ! ü 😀".split(' ')];

function inventRequest(random: () => number): RequestToSign {
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const text = (pieces: readonly string[], most: number): string =>
    Array.from({ length: Math.floor(random() * most) }, () => pick(pieces)).join('');
  const query: Record<string, string | string[]> = {};
  for (let index = Math.floor(random() * 4); index > 0; index--) {
    query[`${text(TEXT_PIECES, 4)}k`] =
      random() < 0.3 ? [text(TEXT_PIECES, 5), text(TEXT_PIECES, 5)] : text(TEXT_PIECES, 6);
  }
  const headers: Record<string, string> = {};
  for (let index = Math.floor(random() * 4); index > 0; index--) headers[`x-test-${index}`] = text(TEXT_PIECES, 8);
  return {
    method: pick(['GET', 'POST', 'PUT', 'DELETE']),
    path: `/${text(PATH_PIECES, 12)}`,
    query,
    headers,
    body: text(TEXT_PIECES, 20),
    host: pick(['localhost', 'localhost:4000', '127.0.0.1:4000', '[::1]:4000']),
    service: pick(['bedrock', 'bedrock-agentcore', 'bedrock-mantle']),
    region: pick(['us-east-1', 'eu-central-1', 'us-gov-west-1']),
    sendsPayloadHash: random() < 0.5,
    ...(random() < 0.3 ? { sessionToken: `t${text(['/', '+', '=', 'x'], 9)}` } : {}),
    ...(random() < 0.3 ? { presignSeconds: 60 } : {}),
  };
}
