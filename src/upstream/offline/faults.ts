/**
 * Failures on demand: model ids that make the offline Bedrock fail like AWS, so that a client's retries, time-outs and
 * error handling can be tried without waiting for a bad day. For every operation that names a model in its path, with
 * or without a geography before it.
 *
 *   offline.echo-v1:0             no failure; responds in the shape of Anthropic's models
 *   offline.throttle-v1:0         429 ThrottlingException with `retry-after: 1`
 *   offline.unavailable-v1:0      503 ServiceUnavailableException
 *   offline.internal-v1:0         500 InternalServerException
 *   offline.not-ready-v1:0        429 ModelNotReadyException
 *   offline.timeout-v1:0          408 ModelTimeoutException
 *   offline.model-error-v1:0      424 ModelErrorException
 *   offline.denied-v1:0           403 AccessDeniedException
 *   offline.slow-v1:0             a long wait before the first byte, long pauses in a stream
 *   offline.stream-error-v1:0     two events, then an exception frame `modelStreamErrorException` (no stream: 424)
 *   offline.stream-throttle-v1:0  two events, then an exception frame `throttlingException` (no stream: 429)
 *   offline.silent-v1:0           two events (no stream: half the body), then nothing, for ever
 *   offline.reset-v1:0            two events (no stream: half the body), then a reset of the connection
 */
import { type Refusal, REFUSALS } from '../../faults/refusals.ts';
import { exceptionFrame } from './frames.ts';
import { awsError, type Reply } from './reply.ts';

/** Makes of a good reply what the fault does to it. */
export type OfflineFault = (reply: Reply) => Reply;

const refuse = ({ status, type, message }: Refusal, headers: Readonly<Record<string, string>> = {}): Reply =>
  awsError(status, type, message, headers);
const throttle: OfflineFault = () => refuse(REFUSALS.throttle, { 'retry-after': '1' });

/** By the name between `offline.` and `-v1:0`. */
export const OFFLINE_FAULTS: Readonly<Record<string, OfflineFault>> = {
  throttle,
  unavailable: () => refuse(REFUSALS.unavailable),
  internal: () => refuse(REFUSALS.internal),
  'not-ready': () => refuse(REFUSALS['not-ready']),
  timeout: () => refuse(REFUSALS.timeout),
  'model-error': () => refuse(REFUSALS['model-error']),
  denied: () => refuse(REFUSALS.denied),
  slow: (reply) => ({ ...reply, isSlow: true }),
  'stream-error': (reply) =>
    reply.isStream
      ? failStream(reply, 'modelStreamErrorException', { originalStatusCode: 500, originalMessage: 'offline' })
      : refuse(REFUSALS['model-error']),
  'stream-throttle': (reply) => (reply.isStream ? failStream(reply, 'throttlingException', {}) : throttle(reply)),
  silent: (reply) => ({ ...reply, chunks: firstPart(reply), ending: 'silence' }),
  reset: (reply) => ({ ...reply, chunks: firstPart(reply), ending: 'reset' }),
};

const EVENTS_BEFORE_FAULT = 2;

/**
 * The reply as the fault that a script asks for makes it, or that of this model (without geography); unchanged if there
 * is none, or if it failed already.
 */
export function applyFault(modelId: string, reply: Reply, scripted?: OfflineFault): Reply {
  const [, name] = /^offline\.([a-z-]+)-v1:0$/.exec(modelId) ?? [];
  const ofModel = name !== undefined && Object.hasOwn(OFFLINE_FAULTS, name) ? OFFLINE_FAULTS[name] : undefined;
  const fault = scripted ?? ofModel;
  return fault === undefined || reply.status !== 200 ? reply : fault(reply);
}

function failStream(reply: Reply, type: string, content: object): Reply {
  const frame = exceptionFrame(type, { message: 'The stream failed, as was asked for.', ...content });
  return { ...reply, chunks: [...firstPart(reply), frame] };
}

function firstPart({ chunks, isStream }: Reply): readonly Buffer[] {
  if (isStream) return chunks.slice(0, EVENTS_BEFORE_FAULT);
  return chunks.map((chunk) => chunk.subarray(0, Math.floor(chunk.length / 2)));
}
