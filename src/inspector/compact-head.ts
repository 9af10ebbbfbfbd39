/**
 * Heads as they are kept: names and values as one text, because of thousands of small ones the collector has work.
 * Pure.
 */
import type { HeaderPair } from '../http/message.ts';
import type { KeptMessage } from './exchange.ts';

/** What a header takes besides its characters. */
const HEADER_BYTES = 48;

/** A message without its body. */
export type BareMessage = Omit<KeptMessage, 'body'>;

/** Its headers are names and values in turns. */
export type CompactHead = Omit<BareMessage, 'headers'> & { readonly text: string };

/** Between names and values: none of them can have it. */
const BETWEEN = '\n';

/** For keeping. */
export function compactHead({ headers, ...head }: BareMessage): CompactHead {
  const parts: string[] = [];
  for (const [name, value] of headers) parts.push(name, value);
  return { ...head, text: parts.join(BETWEEN) };
}

/** For whoever looks. */
export function expandHead({ text, ...head }: CompactHead): BareMessage {
  const parts = text === '' ? [] : text.split(BETWEEN);
  const headers: HeaderPair[] = [];
  for (let at = 0; at < parts.length; at += 2) headers.push([parts[at] ?? '', parts[at + 1] ?? '']);
  return { ...head, headers };
}

/** What it takes of memory, in bytes. */
export function sizeOfHead({ target = '', headers }: BareMessage): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length + HEADER_BYTES, target.length);
}
