/** What changes while somebody looks: all exchanges, or the frames of one. */
import type { Exchange, ExchangeChange } from '../inspector/exchange.ts';
import { viewFrames } from '../inspector/views/view-frames.ts';
import type { ExchangeEvent, InspectorEvent, InspectorState } from '../inspector/wire.ts';
import { type InspectorCall, readNumber } from './call.ts';
import { summariseFor } from './endpoint.ts';
import { EventStream } from './events.ts';

/** A page takes no more. */
const UPDATE_MS = 100;
/** Frames of one event. */
const FRAMES = 500;

interface ChangeParts {
  /** Undefined: all. */
  readonly matches: ((exchange: Exchange) => boolean) | undefined;
  readonly tellState: () => InspectorState;
}

/** Every exchange that came, grew, ended or went, ten times a second at most; first those after the cursor `after`. */
export function streamChanges(call: InspectorCall, { matches, tellState }: ChangeParts): void {
  const { options, query } = call;
  const { source, firstCursor } = options;
  const after = readNumber(query, 'after');
  const missed = after === undefined ? [] : source.changesAfter(after - firstCursor);
  const stream = new EventStream(call.clientRequest, call.clientResponse);
  const send = (event: InspectorEvent): void => stream.send(event);
  const waiting = new Map<string, ExchangeChange>();
  if (missed === undefined) send({ event: 'reset', cursor: firstCursor + source.cursor });
  for (const change of missed ?? []) waiting.set(change.id, change);
  send({ event: 'state', state: tellState() });
  let isSending = false;
  const flush = async (): Promise<void> => {
    if (isSending || waiting.size === 0) return;
    isSending = true;
    const changes = [...waiting.values()];
    waiting.clear();
    for (const { id, kind, cursor: ofSource } of changes) {
      const exchange = kind === 'remove' ? undefined : await source.find(id);
      if (stream.isOver) return;
      const cursor = firstCursor + ofSource;
      if (exchange === undefined || matches?.(exchange) === false) send({ event: 'remove', cursor, id });
      else send({ event: 'upsert', cursor, exchange: summariseFor(options, exchange) });
    }
    send({ event: 'state', state: tellState() });
    isSending = false;
  };
  const run = (): void => void flush().catch(() => stream.close());
  const timer = setInterval(run, UPDATE_MS);
  const unwatch = source.watch((change) => {
    // The newest last, so that cursors grow.
    waiting.delete(change.id);
    waiting.set(change.id, change);
  });
  stream.onClose(() => {
    clearInterval(timer);
    unwatch();
  });
}

/** Frames of one exchange, as they come, and its row whenever it changes; ends with it. */
export function streamExchange({ id }: Exchange, call: InspectorCall): void {
  const { options, query } = call;
  let from = readNumber(query, 'from') ?? 0;
  const stream = new EventStream(call.clientRequest, call.clientResponse);
  const send = (event: ExchangeEvent): void => stream.send(event);
  let told: string | undefined;
  const flush = async (): Promise<void> => {
    const exchange = await options.source.find(id);
    if (exchange === undefined || stream.isOver) return stream.close();
    for (let isMore = true; isMore && !stream.isOver;) {
      const { items, total, next } = viewFrames(exchange, { from, limit: FRAMES });
      if (items.length > 0) send({ event: 'frames', frames: items, total });
      from += items.length;
      isMore = next !== null && items.length > 0;
    }
    const summary = summariseFor(options, exchange);
    const text = JSON.stringify(summary);
    if (text !== told) send({ event: 'summary', exchange: summary });
    told = text;
    if (exchange.end !== 'open') stream.close();
  };
  const run = (): void => void flush().catch(() => stream.close());
  const timer = setInterval(run, UPDATE_MS);
  stream.onClose(() => clearInterval(timer));
  run();
}
