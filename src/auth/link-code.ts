/**
 * Codes for links to the inspector's page that a program is started with: other users of the machine can see what
 * programs are started with, and the token itself must not stand there. A code is good for a minute, once in each
 * process, and for nothing but to fetch the token. Pure.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const LIFETIME_MS = 60_000;
const NONCE_BYTES = 16;
const FORM = /^(\d{13,15})-([0-9a-f]{32})-([0-9a-f]{64})$/;

/** A code that whoever knows the token makes; `nonce`: 16 random bytes. */
export function makeLinkCode(token: string, nowMs: number, nonce: Buffer): string {
  const head = `${nowMs + LIFETIME_MS}-${nonce.subarray(0, NONCE_BYTES).toString('hex')}`;
  return `${head}-${sign(token, head)}`;
}

/** State: the codes that were used and are not too old yet. */
export class LinkCodes {
  readonly #token: string;
  readonly #used = new Map<string, number>();

  constructor(token: string) {
    this.#token = token;
  }

  /** Whether this is a code of the token, in time, that was not used before. From now on it was. */
  use(code: string, nowMs: number): boolean {
    const [, until = '', nonce = '', signature = ''] = FORM.exec(code) ?? [];
    if (signature === '' || !isSame(signature, sign(this.#token, `${until}-${nonce}`))) return false;
    const untilMs = Number(until);
    if (untilMs < nowMs || untilMs > nowMs + LIFETIME_MS || this.#used.has(nonce)) return false;
    for (const [old, endMs] of this.#used) if (endMs < nowMs) this.#used.delete(old);
    this.#used.set(nonce, untilMs);
    return true;
  }
}

function sign(token: string, head: string): string {
  return createHmac('sha256', token).update(`bedrock-proxy link:${head}`).digest('hex');
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
