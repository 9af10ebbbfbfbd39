/**
 * What faults do to the bytes of a response: each as a function of the next chunk. Pure but for the pauses, which are
 * handed in.
 */
import type { ResponseShape } from '../operations/facts.ts';
import { encodeFrame, encodeStringHeader, FrameSplitter } from '../protocol/event-stream.ts';
import type { LateEffect } from './grammar.ts';
import { refusalOfException, writeErrorEvent } from './refusals.ts';
import { type BodyKind, PlaceFinder, UnitSplitter } from './stream-place.ts';

/** How a fault ends a response before its time. */
export type FaultEnding = 'end' | 'reset' | 'silence';

/** Where the bytes go. */
export interface EffectSink {
  write(chunk: Buffer): Promise<void>;
  wait(ms: number): Promise<void>;
  /** Monotonic milliseconds. */
  readonly tickMs: () => number;
  /** From 0 to 1, by what the fault has drawn. */
  readonly draw: (index: number) => number;
}

/** What is known of the response. */
export interface EffectContext {
  readonly kind: BodyKind;
  /** As announced; undefined: not known. */
  readonly sizeBytes: number | undefined;
  readonly shape: ResponseShape | undefined;
}

/** Passes a chunk on as the fault has it; resolves to how the response ends here, undefined if it goes on. */
export type BodyEffect = (chunk: Buffer, sink: EffectSink) => Promise<FaultEnding | undefined>;

/** Ten pieces in a second look like a slow line, and not like bursts. */
const PIECES_PER_SECOND = 10;
const PRELUDE_BYTES = 12;
const CHECKSUM_BYTES = 4;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The effect, made for one response. */
export function openBodyEffect(effect: LateEffect, context: EffectContext): BodyEffect {
  switch (effect.does) {
    case 'first-byte':
      return passOn;
    case 'gap':
      return openGap(effect, context);
    case 'rate':
      return openRate(effect.bytesPerSecond);
    case 'stall':
      return endAt(new PlaceFinder(context.kind, effect.at, context.sizeBytes), 'silence');
    case 'cut':
      return endAt(new PlaceFinder(context.kind, effect.at, context.sizeBytes), 'end');
    case 'reset':
      return endAt(new PlaceFinder(context.kind, effect.at, context.sizeBytes), 'reset');
    case 'exception':
      return endAt(new PlaceFinder(context.kind, effect.at, undefined), 'end', writeException(effect.type, context));
    case 'crc':
      return openFlip(effect.at.frames, effect.which);
    case 'malformed':
      return context.kind === 'frames' ? openBrokenFrame() : openBrokenText();
    case 'empty':
      return async () => 'end';
  }
}

const passOn: BodyEffect = async (chunk, sink) => {
  await sink.write(chunk);
  return undefined;
};

function openGap(
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  { kind }: EffectContext,
): BodyEffect {
  const splitter = new UnitSplitter(kind);
  let gaps = 0;
  let isDue = kind === 'whole';
  return async (chunk, sink) => {
    for (const { piece, ends } of splitter.push(chunk)) {
      if (isDue) await sink.wait(fromMs + (toMs - fromMs) * sink.draw(gaps++));
      await sink.write(piece);
      isDue = ends || kind === 'whole';
    }
    return undefined;
  };
}

/** By an absolute schedule, so that late timers do not add up. */
function openRate(bytesPerSecond: number): BodyEffect {
  const size = Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND));
  let begun: number | undefined;
  let sent = 0;
  return async (chunk, sink) => {
    begun ??= sink.tickMs();
    for (let at = 0; at < chunk.length; at += size) {
      const piece = chunk.subarray(at, at + size);
      const dueMs = begun + ((sent + piece.length) / bytesPerSecond) * 1000;
      await sink.wait(Math.max(0, dueMs - sink.tickMs()));
      await sink.write(piece);
      sent += piece.length;
    }
    return undefined;
  };
}

function endAt(place: PlaceFinder, ending: FaultEnding, last?: Buffer): BodyEffect {
  return async (chunk, sink) => {
    const before = place.find(chunk);
    if (before === undefined) return passOn(chunk, sink);
    if (before > 0) await sink.write(chunk.subarray(0, before));
    if (last !== undefined) await sink.write(last);
    return ending;
  };
}

/** As Bedrock writes it; server-sent events have an error event of the provider's. */
function writeException(type: string, { kind, shape }: EffectContext): Buffer {
  const { message } = refusalOfException(type);
  if (kind !== 'frames') return writeErrorEvent(refusalOfException(type), shape);
  const headers = [
    encodeStringHeader(':exception-type', type),
    encodeStringHeader(':content-type', 'application/json'),
    encodeStringHeader(':message-type', 'exception'),
  ];
  return encodeFrame(Buffer.concat(headers), Buffer.from(JSON.stringify({ message })));
}

/** One byte in the frame that comes after so many: the last of its payload, or the prelude's checksum. */
function openFlip(frames: number, which: 'message' | 'prelude'): BodyEffect {
  const splitter = new UnitSplitter('frames');
  const prelude = Buffer.alloc(PRELUDE_BYTES);
  let units = 0;
  let read = 0;
  const flip = (piece: Buffer): Buffer => {
    const copy = Buffer.from(piece);
    for (let at = 0; at < copy.length; at += 1, read += 1) {
      if (read < PRELUDE_BYTES) prelude[read] = copy[at] ?? 0;
      const target = which === 'prelude' ? PRELUDE_BYTES - 1 : prelude.readUInt32BE(0) - CHECKSUM_BYTES - 1;
      if (read === target && read >= PRELUDE_BYTES - 1) copy[at] = (copy[at] ?? 0) ^ 1;
    }
    return copy;
  };
  return async (chunk, sink) => {
    for (const { piece, ends } of splitter.push(chunk)) {
      await sink.write(units === frames ? flip(piece) : piece);
      units += ends ? 1 : 0;
    }
    return undefined;
  };
}

/** JSON that begins with a closing brace, at any split. */
function openBrokenText(): BodyEffect {
  let isBroken = false;
  return async (chunk, sink) => {
    const at = isBroken ? -1 : chunk.indexOf(OPEN_BRACE);
    if (at !== -1) isBroken = true;
    await sink.write(at === -1 ? chunk : breakAt(chunk, at));
    return undefined;
  };
}

/** The same in the payload of the first frame, whose checksums are right. */
function openBrokenFrame(): BodyEffect {
  const splitter = new FrameSplitter();
  let isBroken = false;
  return async (chunk, sink) => {
    for (const { bytes, headers, payload } of splitter.push(chunk)) {
      const at = isBroken ? -1 : payload.indexOf(OPEN_BRACE);
      if (at !== -1) isBroken = true;
      await sink.write(at === -1 ? bytes : encodeFrame(headers, breakAt(payload, at)));
    }
    return undefined;
  };
}

function breakAt(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = CLOSE_BRACE;
  return copy;
}
