/**
 * Reads from a request's body, once and before anything is sent, what admission needs (see `body-reading.ts`). Decides
 * nothing, and changes no byte. It reports a body that it cannot read, so that nothing is allowed because it was not
 * understood.
 */
import { setImmediate } from 'node:timers/promises';
import type { HeaderPair } from '../http/message.ts';
import { findContentCoding, unpack } from '../http/unpack.ts';
import { findFacts } from '../operations/find-facts.ts';
import { BodyReading, type Inspection, LONG_CONTEXT } from './body-reading.ts';
import { namesGuardrailInHeader } from './guardrail-fields.ts';
import { findLimitFields } from './limit-fields.ts';

/** A request whose body has arrived. */
export interface InspectedRequest {
  readonly service: string;
  /** AWS's name; undefined if the tables do not know the path. */
  readonly operation: string | undefined;
  /** The model that the URL names. */
  readonly pathModel: string | undefined;
  readonly headers: readonly HeaderPair[];
  readonly body: InspectedBody;
  /** What a compressed body may unpack to. */
  readonly maxUnpackedBytes: number;
  /** Whether it is asked how large the input is; if not, less is looked at. */
  readonly isSized: boolean;
}

/** `chunks` is all of it, or, if there is a spool, only its beginning. */
export interface InspectedBody {
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;
  readonly spool?: { read(): AsyncIterable<Buffer> } | undefined;
}

/** One step of scanning, after which others have their turn: about a millisecond. */
const STEP_BYTES = 256 * 1024;
const STEPS_PER_TURN = 4;

/**
 * Reads the whole body, unpacked if it is compressed. Throws only what `spool.read()` and `unpack` throw. Lets the
 * event loop turn at least once a megabyte.
 */
export async function inspectBody(request: InspectedRequest): Promise<Inspection> {
  const { service, operation, pathModel, headers, body, isSized } = request;
  const facts = findFacts(service, operation, pathModel !== undefined);
  const reading = new BodyReading(facts, { limits: findLimitFields(facts, pathModel), isSized, pathModel });
  const isPlain = isPlainText(headers);
  const coding = body.sizeBytes === 0 ? undefined : findContentCoding(headers);
  let steps = 0;
  let unpackedBytes = 0;
  for await (const chunk of openText(request, coding)) {
    unpackedBytes += chunk.length;
    for (let at = 0; at < chunk.length; at += STEP_BYTES) {
      steps += 1;
      if (steps % STEPS_PER_TURN === 0) await setImmediate();
      reading.push(chunk.length <= STEP_BYTES ? chunk : chunk.subarray(at, at + STEP_BYTES));
    }
    // How much a compressed body is shows only at its end.
    if (reading.isBroken && coding === undefined) break;
  }
  const sizeBytes = coding === undefined ? body.sizeBytes : unpackedBytes;
  const found = reading.finish({ isPlain, sizeBytes });
  const wantsLongContext = found.wantsLongContext || headers.some(isLongContextHeader);
  const namesGuardrail = found.namesGuardrail || namesGuardrailInHeader(headers);
  return { ...found, wantsLongContext, namesGuardrail, ...reading.findServing(headers) };
}

function isLongContextHeader([name, value]: HeaderPair): boolean {
  return name.length === 14 && name.toLowerCase() === 'anthropic-beta' && LONG_CONTEXT.test(value);
}

function openText(
  { body, maxUnpackedBytes }: InspectedRequest,
  coding: string | undefined,
): Iterable<Buffer> | AsyncIterable<Buffer> {
  const bytes = body.spool?.read() ?? body.chunks;
  if (coding === undefined) return bytes;
  return unpack(bytes, coding, { maxBytes: maxUnpackedBytes, sizeBytes: body.sizeBytes });
}

/** A parser that takes the body for another character set could see other names in the same bytes. */
function isPlainText(headers: readonly HeaderPair[]): boolean {
  return headers.every(([name, value]) => {
    if (name.length !== 12 || name.toLowerCase() !== 'content-type') return true;
    return !/charset/i.test(value) || /^[^;]*;\s*charset\s*=\s*"?(?:utf-8|us-ascii)"?\s*$/i.test(value);
  });
}
