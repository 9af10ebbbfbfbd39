/**
 * How a server proves to `exec` that it holds the secret of a database, before it is shown a key: an HMAC over a
 * challenge and the port it listens on. Because of the port, an impostor cannot pass on the proof of a server on
 * another port; and a server that has only one address of `localhost` proves less, so that an impostor on the other one
 * cannot pass on its proof either. Pure.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** Where a server listens, as far as its proof says. */
export interface ProvenPort {
  readonly port: number;
  /** On every address of `localhost` that this machine has. */
  readonly ownsLocalhost: boolean;
}

/** Whether the text is a challenge: 32 to 128 hexadecimal digits. */
export function isChallenge(text: string): boolean {
  return /^[0-9a-f]{32,128}$/i.test(text);
}

/** The response, 64 lower-case hexadecimal digits, of the server that listens there. */
export function proveServer(serverSecret: Buffer, challenge: string, { port, ownsLocalhost }: ProvenPort): string {
  const key = Buffer.from(hkdfSync('sha256', serverSecret, '', 'bedrock-proxy server proof', 32));
  return createHmac('sha256', key)
    .update(`${challenge}:${port}${ownsLocalhost ? '' : ':one address'}`)
    .digest('hex');
}

/** Whether `proof`, as the other end has sent it, is that response. In constant time. */
export function isServerProof(proof: unknown, serverSecret: Buffer, challenge: string, port: ProvenPort): boolean {
  if (typeof proof !== 'string' || !/^[0-9a-f]{64}$/.test(proof)) return false;
  return timingSafeEqual(Buffer.from(proof), Buffer.from(proveServer(serverSecret, challenge, port)));
}
