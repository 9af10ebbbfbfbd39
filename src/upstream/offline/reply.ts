/**
 * What the parts of the offline Bedrock hand to each other: a call, and the reply to it. Values only; the server turns
 * a reply into bytes on a socket.
 */
import type { HeaderPair } from '../../http/message.ts';
import type { ComposedResponse, Turn } from './compose.ts';
import type { OfflineState } from './state.ts';

/** A call whose signature was right and whose operation is known. */
export interface OfflineCall {
  /** AWS's name of the operation. */
  readonly operation: string;
  readonly region: string;
  /** `aws`, `aws-us-gov`, …, as ARNs name it. */
  readonly partition: string;
  /** The labels of the operation's path, by name, percent-decoded. */
  readonly labels: Readonly<Record<string, string>>;
  /** Decoded; the last of repeated names. */
  readonly query: ReadonlyMap<string, string>;
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
  readonly nowMs: number;
  readonly state: OfflineState;
  readonly scripted: ScriptedCall;
}

/** How the model responds in one call: as a script has it, if one of its rules is for the call. */
export interface ScriptedCall {
  /** To be asked once. */
  readonly respond: (turn: Turn) => ComposedResponse;
  /** For a call that has no turn, such as one for an embedding: only what fails can be told. */
  readonly failWithoutTurn: (modelId: string, body: Uint8Array) => void;
  /** What goes wrong by the script; to be asked after one of the others. */
  readonly findFault: () => ((reply: Reply) => Reply) | undefined;
}

/** How a reply ends: as it should, by a reset of the connection, or not at all. */
export type Ending = 'end' | 'reset' | 'silence';

/** A reply; header names are lower-case. `x-amzn-requestid`, `date` and the length are the server's to add. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body: one chunk, or the frames of an event stream, sent one by one with a pause between them. */
  readonly chunks: readonly Buffer[];
  readonly isStream: boolean;
  readonly ending: Ending;
  /** True if the reply should take its time: a long wait first, long pauses after. */
  readonly isSlow: boolean;
}

/** Responds to one operation. Deterministic: the same calls, in the same order, give the same replies. */
export type OperationHandler = (call: OfflineCall) => Reply;

/** A JSON reply. */
export function jsonReply(content: unknown, headers: Readonly<Record<string, string>> = {}, status = 200): Reply {
  const body = Buffer.from(JSON.stringify(content));
  const all = { 'content-type': 'application/json', ...headers };
  return { status, headers: all, chunks: [body], isStream: false, ending: 'end', isSlow: false };
}

/** An event-stream reply. */
export function streamReply(frames: readonly Buffer[], headers: Readonly<Record<string, string>> = {}): Reply {
  const all = { 'content-type': 'application/vnd.amazon.eventstream', ...headers };
  return { status: 200, headers: all, chunks: frames, isStream: true, ending: 'end', isSlow: false };
}

/** An error as the rest-json services of AWS write it. */
export function awsError(
  status: number,
  type: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const errorType = `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/`;
  return jsonReply({ message }, { 'x-amzn-errortype': errorType, ...headers }, status);
}

/** The error of a request that makes no sense to the service. */
export function validationError(message: string): Reply {
  return awsError(400, 'ValidationException', message);
}

/** The error of a model identifier that means no model, in the words of AWS, which clients look for. */
export function invalidModel(): Reply {
  return validationError('The provided model identifier is invalid.');
}

/** The error of a model called by its own id that has inference profiles only, in the words of AWS. */
export function profileOnly(modelId: string): Reply {
  return validationError(
    `Invocation of model ID ${modelId} with on-demand throughput isn\u2019t supported. Retry your request with the ` +
      'ID or ARN of an inference profile that contains this model.',
  );
}

/** The error of a body that is not even of the right JSON types. */
export function serializationError(message = 'The request body is not a JSON object.'): Reply {
  return awsError(400, 'SerializationException', message);
}
