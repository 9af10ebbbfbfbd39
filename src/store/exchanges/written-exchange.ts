/** An exchange that has ended, made ready for the thread that writes it. Pure, but for the reading of its bytes. */
import type { Exchange, KeptBody, Omission } from '../../inspector/exchange.ts';
import { type BodySlot, exchangeToJson, LAYERS } from '../../inspector/exchange-json.ts';
import { countKept, makeBody, packChunks } from '../../inspector/stored-body.ts';
import type { WrittenBody, WrittenExchange } from './orders.ts';

/** Copies its bytes. Throws what reading them throws: they may have made room for others. */
export function toWritten(exchange: Exchange): WrittenExchange {
  const bodies: WrittenBody[] = [];
  const json = exchangeToJson(exchange, (body, slot) => {
    bodies.push(copyBody(body, slot));
    return {};
  });
  const { id, sequence, row, isPinned, note } = exchange;
  const head = JSON.stringify(json);
  return { id, sequence, startedAtMs: row.startedAtMs, isPinned, note: note ?? null, head, bodies };
}

function copyBody(body: KeptBody, slot: BodySlot): WrittenBody {
  const bytes = body.read();
  if (bytes.length !== countKept(body)) throw new RangeError('The bytes of a body are gone.');
  const isCut = slot === 'clientRequest' || slot === 'signedRequest';
  return { slot, bytes: copy(bytes), chunks: copy(packChunks(body.chunks())), isCut };
}

/** With a memory of its own: what it is a view of is not handed over with it. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** How many bytes of all its bodies are kept. */
export function contentBytesOf({ layers, clientStream }: Exchange): number {
  const bodies = [...LAYERS.map((layer) => layers[layer]?.body), clientStream];
  return bodies.reduce((sum, body) => sum + (body === undefined ? 0 : countKept(body)), 0);
}

/** The same exchange as it is at this moment, whoever keeps it and may change it. */
export function copyExchange(exchange: Exchange, sequence: number): Exchange {
  // First: to find it may put the bodies into another place.
  const { conversation } = exchange;
  return {
    id: exchange.id,
    sequence,
    row: exchange.row,
    end: exchange.end,
    times: exchange.times,
    layers: exchange.layers,
    clientStream: exchange.clientStream,
    signing: exchange.signing,
    conversation,
    attempt: exchange.attempt,
    failedAttempts: exchange.failedAttempts,
    omitted: exchange.omitted,
    parent: exchange.parent,
    isEdited: exchange.isEdited,
    isPinned: exchange.isPinned,
    note: exchange.note,
  };
}

/** The same exchange, of whose bodies nothing is kept. */
export function withoutContent(exchange: Exchange, why: Omission): Exchange {
  const layers = LAYERS.flatMap((layer) => {
    const message = exchange.layers[layer];
    return message === undefined ? [] : [[layer, { ...message, body: bareBody(message.body, why) }]];
  });
  return {
    ...exchange,
    layers: Object.fromEntries(layers) as Exchange['layers'],
    clientStream: bareBody(exchange.clientStream, why),
    omitted: exchange.omitted ?? why,
  };
}

function bareBody(body: KeptBody | undefined, why: Omission): KeptBody | undefined {
  if (body === undefined) return undefined;
  const { sizeBytes, sha256 } = body;
  return makeBody(
    { sizeBytes, sha256, hole: sizeBytes === 0 ? undefined : { at: 0, sizeBytes, why } },
    () => Buffer.alloc(0),
    () => [],
  );
}
