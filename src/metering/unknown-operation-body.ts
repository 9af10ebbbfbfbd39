/**
 * What AWS's front says of a path that it does not know: status 200, and a body that names the exception. Nothing was
 * done then, and nothing is billed. Pure.
 */
import { asObject } from '../lib/json.ts';

/** The type of error of such a response. */
export const UNKNOWN_OPERATION = 'UnknownOperationException';

/** `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`, with room to spare. */
const MAX_BYTES = 512;
const TYPE = /(?:^|#)UnknownOperationException$/;

/** A JSON body, if it is small enough to be one of these. State: its pieces. */
export class WholeBody {
  #pieces: Buffer[] | undefined = [];
  #sizeBytes = 0;

  /** Keeps a copy, at most of MAX_BYTES. */
  push(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > MAX_BYTES) this.#pieces = undefined;
    else this.#pieces?.push(Buffer.from(chunk));
  }

  /** Whether the body, which is complete, says that, and nothing else. */
  isUnknownOperation(): boolean {
    if (this.#pieces === undefined) return false;
    let body: unknown;
    try {
      body = JSON.parse(Buffer.concat(this.#pieces).toString());
    } catch {
      return false;
    }
    const { Output, Version, ...others } = asObject(body);
    const { __type: type, ...more } = asObject(Output);
    if (Object.keys({ ...others, ...more }).length > 0 || typeof Version !== 'string') return false;
    return typeof type === 'string' && TYPE.test(type);
  }
}
