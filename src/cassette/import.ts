/**
 * Adds exchanges from a file with one recording on each line (NDJSON) to a cassette, as if they had just been recorded:
 * scrubbed, with a proof of their own. What it reads may come from anybody.
 */
import type { WallClock } from '../lib/clock.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { readLines } from '../lib/read-lines.ts';
import { findHeader } from '../http/message.ts';
import { beginCassette, readCassette, numberOf, verifyResponse } from './directory.ts';
import { type BodyFields, encodeBody, encodeResponseBody, type TimedBytes } from './proof.ts';
import { keptHeaders, type RecordedExchange, Recorder } from './recorder.ts';
import type { Recording } from './recording.ts';
import { parseRecording } from './shape.ts';

type OtherLine = Omit<RecordedExchange, 'place'> | 'nothing' | 'unplayable';

/** What an import needs besides its file. */
export interface ImportOptions {
  readonly version: string;
  readonly nowMs: WallClock;
  /** Told which line could not be imported, and why. */
  readonly onProblem: (error: ProxyError) => void;
  /**
   * Reads lines of other formats: what is recorded of one; `nothing` if it is no exchange, `unplayable` if it is one
   * that got no response from an upstream, or not all of it; undefined if it is not of its format either. Throws
   * ERR_BAD_OPTION.
   */
  readonly readOther?: (line: Buffer, place: string) => OtherLine | undefined;
}

/** Reads line by line. Throws ERR_BAD_OPTION if the file cannot be read, or if a line of it is too long. */
export async function importInto(
  directory: string,
  file: string,
  { version, nowMs, onProblem, readOther = () => undefined }: ImportOptions,
): Promise<{ readonly imported: number; readonly failed: number; readonly unplayable: number }> {
  let failed = 0;
  let unplayable = 0;
  const fail = (error: ProxyError): void => {
    failed += 1;
    onProblem(error);
  };
  const lines = readLines(file);
  // A file that is not there makes no cassette.
  let next = await lines.next();
  beginCassette(directory, version, new Date(nowMs()));
  const { rules, recordings } = await readCassette(directory);
  let number = Math.max(0, ...recordings.flatMap(({ name }) => (name.includes('/') ? [] : [numberOf(name)])));
  const recorder = new Recorder(directory, rules, fail);
  for (let line = 1; next.done !== true; line += 1) {
    if (next.value.length > 0) {
      const exchange = readExchange(next.value, `${file}, line ${line}`, { number: number + 1, readOther });
      if (exchange instanceof ProxyError) fail(exchange);
      else if (exchange === 'unplayable') unplayable += 1;
      else if (exchange !== undefined) {
        number += 1;
        recorder.record(exchange);
        // One after the other: a file may be larger than the memory.
        await recorder.flush();
      }
    }
    next = await lines.next();
  }
  return { imported: recorder.recorded, failed, unplayable };
}

function readExchange(
  line: Buffer,
  place: string,
  { number, readOther }: Required<Pick<ImportOptions, 'readOther'>> & { readonly number: number },
): RecordedExchange | ProxyError | 'unplayable' | undefined {
  try {
    const other = readOther(line, place);
    if (other === 'nothing') return undefined;
    if (other === 'unplayable') return other;
    if (other !== undefined) return { ...other, place: { number } };
    const recording = parseRecording(line, place);
    if (verifyResponse(recording.response, noBlob) === 'broken') {
      return new ProxyError('ERR_BAD_OPTION', `The recording ${place} cannot be used: its hash is wrong.`);
    }
    return toExchange(recording, number);
  } catch (thrown) {
    const error = toProxyError(thrown);
    if (error.message.includes(place)) return error;
    return new ProxyError('ERR_BAD_OPTION', `The recording ${place} cannot be used: ${error.message}`, {
      cause: thrown,
    });
  }
}

function toExchange({ request, response }: Recording, number: number): RecordedExchange {
  const { status, headers, firstByteMs, sentFrames, sentChunks, end } = response;
  const contentType = findHeader(headers, 'content-type');
  return {
    request: {
      ...request,
      query: request.query ?? '',
      headers: keptHeaders(request.headers),
      body: request.body === undefined ? Buffer.alloc(0) : encodeBody(request.body, noBlob),
    },
    capture: {
      status,
      headers,
      firstByteMs,
      contentType,
      received: timedBytes(response),
      sent: timedBytes({ frames: sentFrames ?? [], chunks: sentChunks ?? [] }),
      release: () => {},
    },
    end: end === 'exception' ? 'complete' : end,
    isStream: response.body === undefined,
    isBidirectional: sentFrames !== undefined,
    scope: '',
    place: { number },
  };
}

function timedBytes(fields: BodyFields): TimedBytes[] {
  return encodeResponseBody(fields, noBlob).filter(({ bytes }) => bytes.length > 0);
}

function noBlob(name: string): never {
  throw new ProxyError('ERR_BAD_OPTION', `it names a file ${name}, and must have its bodies in it.`);
}
