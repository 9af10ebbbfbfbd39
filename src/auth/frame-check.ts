/**
 * Verifies the frames of a client that signed its event stream: each signature covers the one before, the first that of
 * the request. Pure; fed one frame after the other, in order. Part of `authenticate`.
 */
import type { WallClock } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import { type Frame, parseFrameHeaders } from '../protocol/event-stream.ts';
import type { FrameChainStart } from './signature.ts';
import { formatTimestamp, isSameSignature, signFrame } from '../protocol/sigv4/key.ts';
import { MAX_CLOCK_SKEW_MS } from '../protocol/sigv4/verify.ts';

/**
 * A frame may have waited for a slow upstream since it was signed; bidirectional streams live for eight minutes (AWS).
 */
const MAX_FRAME_AGE_MS = 15 * 60_000;

/** The check for a chain; throws ERR_SIGNATURE if a frame is not the next one that this key signed. */
export function createFrameCheck(start: FrameChainStart, nowMs: WallClock): (frame: Frame) => void {
  let { scope } = start;
  let signingKey = start.keyOf(scope.date);
  let priorSignature = start.seedSignature;
  return (frame) => {
    const headers = parseFrameHeaders(frame.headers);
    const signature = headers.get(':chunk-signature');
    const date = headers.get(':date');
    if (signature?.kind !== 'bytes' || date?.kind !== 'timestamp') throw badFrame('is not signed');
    const dateMs = date.value;
    if (dateMs > nowMs() + MAX_CLOCK_SKEW_MS || dateMs < nowMs() - MAX_FRAME_AGE_MS) {
      throw badFrame('is signed for another time');
    }
    const day = formatTimestamp(dateMs).slice(0, 8);
    if (day !== scope.date) {
      scope = { ...scope, date: day };
      signingKey = start.keyOf(day);
    }
    const expected = signFrame({ signingKey, scope, priorSignature, dateMs, payload: frame.payload });
    if (!isSameSignature(expected, signature.value.toString('hex')))
      throw badFrame('does not have the signature it must have');
    priorSignature = expected;
  };
}

function badFrame(what: string): ProxyError {
  return new ProxyError('ERR_SIGNATURE', `A frame of the event stream ${what}.`);
}
