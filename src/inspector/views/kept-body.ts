/**
 * The bodies of an exchange: which one a layer has, when a byte of it came, and where it lies among the kept bytes.
 * Pure.
 */
import { findHeader } from '../../http/message.ts';
import type { Exchange, KeptBody, KeptChunk, KeptMessage, Layer } from '../exchange.ts';

/** The body of a layer, which may be that of the layer before; undefined if there is none. */
export function bodyOf({ layers }: Exchange, layer: Layer): KeptBody | undefined {
  const own = layers[layer]?.body;
  if (own !== undefined) return own;
  if (layer === 'signedRequest') return layers.clientRequest?.body;
  return layer === 'clientResponse' && layers.clientResponse !== undefined ? layers.upstreamResponse?.body : undefined;
}

/** The response with most to tell: the upstream's, or the proxy's own if nothing was sent. */
export function responseOf(
  exchange: Exchange,
): { readonly message: KeptMessage; readonly body: KeptBody | undefined } | undefined {
  const layer = exchange.layers.upstreamResponse === undefined ? 'clientResponse' : 'upstreamResponse';
  const message = exchange.layers[layer];
  return message === undefined ? undefined : { message, body: bodyOf(exchange, layer) };
}

/** What the client got, if it is another body than the upstream sent: a fault changed it, or it is the proxy's own. */
export function receivedOf(exchange: Exchange): ReturnType<typeof responseOf> {
  const message = exchange.layers.clientResponse;
  return message?.body === undefined ? responseOf(exchange) : { message, body: message.body };
}

/** Without its parameters, in lower case; '' if there is none. */
export function contentTypeOf(message: KeptMessage | undefined): string {
  const [type = ''] = (findHeader(message?.headers ?? [], 'content-type') ?? '').split(';');
  return type.trim().toLowerCase();
}

/** Offsets in the whole body to and from offsets among the kept bytes. */
export function toKeptOffset({ hole }: Pick<KeptBody, 'hole'>, offset: number): number {
  if (hole === undefined || offset <= hole.at) return offset;
  return Math.max(hole.at, offset - hole.sizeBytes);
}

/** The offset in the whole body of a kept byte. */
export function fromKeptOffset({ hole }: Pick<KeptBody, 'hole'>, kept: number): number {
  return hole === undefined || kept < hole.at ? kept : kept + hole.sizeBytes;
}

/** When the byte before an offset of the whole body came; of one that is not known, when the one before it came. */
export function timeAt(chunks: readonly KeptChunk[], end: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunks[middle]?.offset ?? 0) < end) low = middle + 1;
    else high = middle;
  }
  return chunks[Math.max(0, low - 1)]?.atMs ?? 0;
}
