/**
 * How a server and a command prove to each other that they hold the secret of a database: an HMAC over a challenge and
 * the port on which the server listens. The server does before it is shown a key, the command before it is told what
 * concerns nobody else. Because of the port, an impostor cannot pass on the proof of a server on another port; and a
 * server that has only one address of `localhost` proves less, so that an impostor on the other one cannot pass on its
 * proof either. Pure.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

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
  const claim = `${challenge}:${port}${ownsLocalhost ? '' : ':one address'}`;
  return prove('bedrock-proxy server proof', serverSecret, claim);
}

/** Whether `proof`, as the other end has sent it, is that response. In constant time. */
export function isServerProof(proof: unknown, serverSecret: Buffer, challenge: string, port: ProvenPort): boolean {
  return isEqual(proof, proveServer(serverSecret, challenge, port));
}

/** What a command sends with the challenge to be told more. It has the form of a proof, and is worth nothing as one. */
export function proveCommand(serverSecret: Buffer, challenge: string, port: number): string {
  return prove('bedrock-proxy command proof', serverSecret, `${challenge}:${port}`);
}

/** Whether `proof`, as the other end has sent it, is that of a command. In constant time. */
export function isCommandProof(proof: unknown, serverSecret: Buffer, challenge: string, port: number): boolean {
  return isEqual(proof, proveCommand(serverSecret, challenge, port));
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * A secret of the server for the command that has sent this challenge, in base64url: AES-256-GCM under a key that only
 * who holds the server secret knows, so that a stranger in between passes on nothing that he could read.
 */
export function sealForCommand(serverSecret: Buffer, challenge: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealKey(serverSecret, challenge), nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** What was sealed so; undefined if it was not, or for another challenge. */
export function openFromServer(serverSecret: Buffer, challenge: string, sealed: unknown): string | undefined {
  if (typeof sealed !== 'string') return undefined;
  const bytes = Buffer.from(sealed, 'base64url');
  try {
    const options = { authTagLength: TAG_BYTES };
    const key = sealKey(serverSecret, challenge);
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), options);
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

function sealKey(serverSecret: Buffer, challenge: string): Buffer {
  return Buffer.from(hkdfSync('sha256', serverSecret, challenge, 'bedrock-proxy sealed for a command', 32));
}

function prove(purpose: string, serverSecret: Buffer, claim: string): string {
  const key = Buffer.from(hkdfSync('sha256', serverSecret, '', purpose, 32));
  return createHmac('sha256', key).update(claim).digest('hex');
}

function isEqual(proof: unknown, expected: string): boolean {
  if (typeof proof !== 'string' || !/^[0-9a-f]{64}$/.test(proof)) return false;
  return timingSafeEqual(Buffer.from(proof), Buffer.from(expected));
}
