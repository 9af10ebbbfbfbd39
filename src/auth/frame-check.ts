/**
 * Verifies the frames of a client that signed its event stream: each signature covers the one before, the first that of the
 * request. Pure; fed one frame after the other, in order. Part of `authenticate`; what a frame is, `metering/frames` knows.
 */
import { ProxyError } from '../errors.ts';
import { type Frame, parseFrameHeaders } from '../metering/frames.ts';
import type { FrameChainStart } from './signature.ts';
import { isSameSignature, signFrame } from './sigv4-key.ts';
import { MAX_CLOCK_SKEW_MS } from './sigv4.ts';

/** The check for a chain; throws ERR_SIGNATURE where a frame is not the next one that this key signed. */
export function createFrameCheck(start: FrameChainStart, nowMs: () => number): (frame: Frame) => void {
  const { signingKey, scope } = start;
  let priorSignature = start.seedSignature;
  return (frame) => {
    const headers = parseFrameHeaders(frame.headers);
    const signature = headers.get(':chunk-signature');
    const date = headers.get(':date');
    if (signature?.kind !== 'bytes' || date?.kind !== 'timestamp') throw badFrame('is not signed');
    const dateMs = date.value;
    if (Math.abs(dateMs - nowMs()) > MAX_CLOCK_SKEW_MS) throw badFrame('is signed for another time');
    const expected = signFrame({ signingKey, scope, priorSignature, dateMs, payload: frame.payload });
    if (!isSameSignature(expected, signature.value.toString('hex')))
      throw badFrame('does not have the signature it must have');
    priorSignature = expected;
  };
}

function badFrame(what: string): ProxyError {
  return new ProxyError('ERR_SIGNATURE', `A frame of the event stream ${what}.`);
}
