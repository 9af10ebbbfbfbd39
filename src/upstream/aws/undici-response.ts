/** What undici says of a response, in our terms: raw headers as pairs, its errors as ours. Pure. */
import type { Dispatcher } from 'undici';
import { findDescriptorShortage } from '../../lib/descriptors.ts';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { HeaderPair } from '../../http/message.ts';
import { isUnknownAuthority, untrusted } from './trust.ts';

/**
 * undici hands raw headers as a flat list of buffers; bytes become characters one to one, so that they leave as they
 * came.
 */
export function toPairs(raw: Dispatcher.DispatchController['rawHeaders']): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  if (!Array.isArray(raw)) return pairs;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([latin1(raw[index]), latin1(raw[index + 1])]);
  }
  return pairs;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}

/** ERR_UPSTREAM_* by what undici or the system throws; `responseBegan`: the client has its head already. */
export function toUpstreamError(error: Error, responseBegan: boolean): ProxyError {
  if (error instanceof ProxyError) return error;
  // undici's parser errors have a `code` that may be undefined.
  const code = findCode(error) ?? error.name;
  const options = { cause: error, detail: code };
  if (responseBegan) {
    return new ProxyError(
      'ERR_UPSTREAM_RESET',
      `The connection to the upstream broke in the middle of its response (${code}).`,
      options,
    );
  }
  const shortage = findDescriptorShortage(error);
  if (shortage !== undefined) return shortage;
  // Of a body only while its head is held back from the client: AWS is at work.
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new ProxyError('ERR_UPSTREAM_TIMEOUT', 'The upstream took the request and sent no response.', options);
  }
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE') {
    return new ProxyError(
      'ERR_UPSTREAM_RESET',
      `The upstream closed the connection without a response (${code}).`,
      options,
    );
  }
  if (/^(HPE_|HTTPParserError|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_)/.test(code)) {
    return new ProxyError('ERR_UPSTREAM_RESET', `The upstream sent no proper HTTP/1.1 response (${code}).`, options);
  }
  if (isUnknownAuthority(error)) return untrusted(code, error);
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `The upstream cannot be reached (${code}).`, {
    ...options,
    hint: 'Check the network, the region and --endpoint-url of the proxy.',
  });
}
