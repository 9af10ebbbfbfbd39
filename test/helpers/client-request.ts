/**
 * A client request as a plain value, for stages that are pure functions of one: nothing is mocked, only written down.
 * Whatever needs a body or a response is tested over a real socket instead.
 */
import { Readable } from 'node:stream';
import type { ClientRequest } from '../../src/http/message.ts';
import { parseTarget } from '../../src/http/target.ts';

/** A GET of `/bedrock/foundation-models` from this machine, with the given fields in place of its own. */
export function aClientRequest({
  rawTarget = '/bedrock/foundation-models',
  ...fields
}: Partial<ClientRequest> & { readonly rawTarget?: string } = {}): ClientRequest {
  return {
    method: 'GET',
    target: parseTarget(rawTarget),
    headers: [['Host', 'localhost:4000']],
    authority: 'localhost:4000',
    httpVersion: '1.1',
    peerAddress: '127.0.0.1',
    openBody: () => Readable.from([]),
    upgrade: undefined,
    signal: new AbortController().signal,
    cut: () => {},
    ...fields,
  };
}
