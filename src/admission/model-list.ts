/**
 * The list of models as a key with model limits sees it: what it may not use is left out. The one body of AWS's that is
 * made anew, and only then. A list that cannot be read passes as it came: it holds no secret, and every use of a model
 * is judged for itself.
 */
import { Writable } from 'node:stream';
import type { KeyPolicy } from '../domain/key.ts';
import type { Principal } from '../domain/principal.ts';
import { type ClientResponse, findHeader, type HeaderPair } from '../http/message.ts';
import { limitsModels, mayUseModel } from './models.ts';

/** A longer list passes as it came. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;
const LIST_PATH = /\/v1\/models\/?$/;

/** Where the response to a request goes: through a filter if it lists models for a key that may use some of them. */
export function filterModelList(
  clientResponse: ClientResponse,
  principal: Principal,
  { method, path }: { readonly method: string; readonly path: string },
): ClientResponse {
  if (principal.kind !== 'key' || method !== 'GET' || !LIST_PATH.test(path) || !limitsModels(principal.policy)) {
    return clientResponse;
  }
  const { policy } = principal;
  return {
    get headersSent() {
      return clientResponse.headersSent;
    },
    start: (status, headers, reasonPhrase) => {
      const start = (head: readonly HeaderPair[]): Writable => clientResponse.start(status, head, reasonPhrase);
      const isPlain = status === 200 && findHeader(headers, 'content-encoding') === undefined;
      return isPlain ? new ListFilter(headers, start, policy) : start(headers);
    },
    dropRequestBody: () => clientResponse.dropRequestBody(),
    breakOff: () => clientResponse.breakOff(),
  };
}

/** The list without the models that a key may not use; undefined if it is none. OpenAI's shape and Anthropic's. */
function filterListed(text: string, policy: Pick<KeyPolicy, 'models'>): string | undefined {
  const list = parseRecord(text);
  const data: unknown = list?.['data'];
  if (list === undefined || !Array.isArray(data)) return undefined;
  // Anthropic's `first_id` and `last_id` are where the pages go on: they stay.
  return JSON.stringify({ ...list, data: data.filter((entry: unknown) => isUsable(entry, policy)) });
}

function isUsable(entry: unknown, policy: Pick<KeyPolicy, 'models'>): boolean {
  if (typeof entry !== 'object' || entry === null || !('id' in entry)) return false;
  return typeof entry.id === 'string' && mayUseModel(policy, entry.id);
}

function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** State: what has come of the list, until it is complete or too long. */
class ListFilter extends Writable {
  readonly #headers: readonly HeaderPair[];
  readonly #start: (headers: readonly HeaderPair[]) => Writable;
  readonly #policy: KeyPolicy;
  #chunks: Buffer[] = [];
  #size = 0;
  #sink: Writable | undefined;

  constructor(headers: readonly HeaderPair[], start: (headers: readonly HeaderPair[]) => Writable, policy: KeyPolicy) {
    super();
    this.#headers = headers;
    this.#start = start;
    this.#policy = policy;
    // A client that has left shows in its signal.
    this.on('error', () => {});
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#sink !== undefined) return void this.#sink.write(chunk, done);
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size <= MAX_LIST_BYTES) return done();
    this.#sink = this.#start(this.#headers);
    this.#sink.write(Buffer.concat(this.#chunks), done);
    this.#chunks = [];
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#sink !== undefined) return void this.#sink.end(done);
    const whole = Buffer.concat(this.#chunks);
    const filtered = filterListed(whole.toString(), this.#policy);
    if (filtered === undefined) return void this.#start(this.#headers).end(whole, done);
    const body = Buffer.from(filtered);
    const others = this.#headers.filter(([name]) => name.toLowerCase() !== 'content-length');
    this.#start([...others, ['content-length', String(body.length)]]).end(body, done);
  }
}
