/** An exchange that was kept as what a cassette records of one. Pure. */
import { keptHeaders, type RecordedExchange } from '../cassette/recorder.ts';
import type { TimedBytes } from '../cassette/proof.ts';
import { findHeader } from '../http/message.ts';
import { ProxyError } from '../lib/errors.ts';
import type { Exchange, KeptBody } from './exchange.ts';
import { isExchangeLine, readExchangeLine, readIsSanitized } from './ndjson.ts';

/** What is to be recorded of one; undefined: nothing came that could be played. Throws ERR_BAD_OPTION. */
export function toRecordedExchange(exchange: Exchange): Omit<RecordedExchange, 'place'> | undefined {
  const { row, layers, times, clientStream, end } = exchange;
  const { clientRequest, signedRequest, upstreamResponse } = layers;
  const isOver = end === 'complete' || end === 'cut';
  if (!isOver || signedRequest === undefined || upstreamResponse?.status === undefined) return undefined;
  const { status, headers } = upstreamResponse;
  const requestBody = readWhole(signedRequest.body ?? clientRequest?.body, 'request');
  const firstByteMs = times.firstByteMs ?? times.headMs ?? 0;
  const [path = '', ...query] = (signedRequest.target ?? '').split('?');
  const contentType = findHeader(signedRequest.headers, 'content-type') ?? '';
  return {
    request: {
      service: row.service ?? '',
      operation: row.operation ?? '',
      method: signedRequest.method ?? 'POST',
      path,
      query: query.join('?'),
      headers: keptHeaders(signedRequest.headers),
      body: requestBody,
    },
    capture: {
      status,
      headers,
      firstByteMs: Math.max(0, firstByteMs - (times.sentMs ?? times.signedMs ?? 0)),
      contentType: findHeader(headers, 'content-type'),
      received: timeBytes(upstreamResponse.body, firstByteMs),
      sent: timeBytes(clientStream, firstByteMs),
      release: () => {},
    },
    end,
    isStream: row.isStreamed,
    isBidirectional: clientStream !== undefined && contentType.startsWith('application/vnd.amazon.eventstream'),
    scope: '',
  };
}

/**
 * Reads the lines of one export for `importInto` of cassettes. An export without its texts has nothing to play: that
 * is said once.
 */
export function createExportReader(): (
  line: Buffer,
  place: string,
) => Omit<RecordedExchange, 'place'> | 'nothing' | 'unplayable' | undefined {
  let isSanitized = false;
  return (line, place) => {
    if (!isExchangeLine(line)) return undefined;
    if (readIsSanitized(line)) {
      isSanitized = true;
      throw new ProxyError('ERR_BAD_OPTION', `The export of ${place} cannot be used: its texts were taken out.`, {
        hint: 'Export it again: `bedrock-proxy inspect export --unsanitized`.',
      });
    }
    const exchange = isSanitized ? undefined : readExchangeLine(line, place);
    return exchange === undefined ? 'nothing' : (toRecordedExchange(exchange) ?? 'unplayable');
  };
}

function readWhole(body: KeptBody | undefined, what: string): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (body.hole === undefined) return body.read();
  throw new ProxyError('ERR_BAD_OPTION', `of its ${what} ${body.hole.sizeBytes} bytes were not kept.`);
}

/** Bytes with the time since the first of the response. */
function timeBytes(body: KeptBody | undefined, firstByteMs: number): TimedBytes[] {
  const bytes = readWhole(body, 'response');
  const timed = (body?.chunks() ?? []).map(({ offset, sizeBytes, atMs }) => ({
    atMs: Math.max(0, atMs - firstByteMs),
    bytes: bytes.subarray(offset, offset + sizeBytes),
  }));
  const isWhole = timed.reduce((sum, part) => sum + part.bytes.length, 0) === bytes.length;
  const all = isWhole ? timed : [{ atMs: 0, bytes }];
  return all.filter((part) => part.bytes.length > 0);
}
