/**
 * What Bedrock does with a request, for the fake AWS: it serves it in the form of its operation, refuses it, breaks off
 * at any point of its response, or stays silent. Each is an `Outcome`, so that a test scripts a region as a list.
 */
import type { ServerResponse } from 'node:http';
import { sha256Hex } from '../../src/protocol/sigv4/key.ts';
import { eventFrame, exceptionFrame, startEventStream } from './event-frames.ts';
import { cutConnection, sendAwsError, sendJson } from './fake-upstream.ts';

/** What a response reports, and a bill has. */
export interface FakeUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens: number;
  readonly cacheWriteInputTokens: number;
}

/** A request that was signed right, as Bedrock understands it. */
export interface BedrockCall {
  /** As in the path: `converse-stream`, `invoke`, `chat`, `messages`; undefined for any other. */
  readonly form: string | undefined;
  /** Decoded, out of the path or the body. */
  readonly model: string | undefined;
  readonly isStream: boolean;
  /** What it uses, if it is served. */
  readonly usage: FakeUsage;
  /** What the model says: who answers. */
  readonly text: string;
  /** AWS counts the tokens of this request from here on: call it as soon as anything of a response was made. */
  readonly bill: () => void;
}

/** What becomes of a request. */
export type Outcome = (call: BedrockCall, response: ServerResponse) => void | Promise<void>;

/** A whole response, with its usage at its end. */
export const serve: Outcome = (call, response) => {
  call.bill();
  if (!call.isStream) return sendJson(response, 200, wholeBody(call));
  const pieces = streamPieces(call);
  startStream(call, response);
  for (const piece of [pieces.begin, pieces.text, pieces.end]) response.write(piece);
  response.end();
};

/** An error in the shape of AWS, for which AWS bills nothing. */
export function refuse(status: number, type: string, message: string, headers: Record<string, string> = {}): Outcome {
  return (_, response) => sendAwsError(response, { status, type, message, headers });
}

/** 429; with `retry-after` if it is given. */
export function throttle(retryAfterSeconds?: number): Outcome {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  return refuse(429, 'ThrottlingException', 'Too many requests, please wait before trying again.', headers);
}

/** Bedrock's errors by type, with the status that each has. */
export const REFUSALS = {
  ThrottlingException: throttle(),
  ServiceUnavailableException: refuse(503, 'ServiceUnavailableException', 'Bedrock is unable to process it.'),
  overloaded: refuse(529, 'OverloadedException', 'Overloaded'),
  InternalServerException: refuse(500, 'InternalServerException', 'The system encountered an unexpected error.'),
  ModelNotReadyException: refuse(429, 'ModelNotReadyException', 'The model is not ready for inference requests.'),
  ModelTimeoutException: refuse(408, 'ModelTimeoutException', 'The model took too long.'),
  ModelErrorException: refuse(424, 'ModelErrorException', 'The model could not process it.'),
  ValidationException: refuse(400, 'ValidationException', 'The provided model identifier is invalid.'),
  AccessDeniedException: refuse(403, 'AccessDeniedException', 'You do not have access to the model.'),
  ResourceNotFoundException: refuse(404, 'ResourceNotFoundException', 'There is no such model.'),
  ServiceQuotaExceededException: refuse(400, 'ServiceQuotaExceededException', 'Your account has no quota.'),
} as const satisfies Record<string, Outcome>;

/** Status 200, and then an exception as the first frame of the stream: `throttlingException`. */
export function exceptionFirst(type: string, message = 'Too many requests.'): Outcome {
  return (_, response) => {
    startEventStream(response);
    response.end(exceptionFrame(type, message));
  };
}

/** The same after some text, which is billed. */
export function exceptionAfterText(type: string, message = 'It broke.'): Outcome {
  return (call, response) => {
    call.bill();
    const { begin, text } = streamPieces(call);
    startStream(call, response);
    response.write(Buffer.concat([begin, text]));
    response.end(exceptionFrame(type, message));
  };
}

/** A reset (TCP RST) before one byte of a response; `bills`: AWS has worked by then. */
export function cutBefore({ bills = false } = {}): Outcome {
  return (call, response) => {
    if (bills) call.bill();
    cutConnection(response);
  };
}

/** An orderly end (FIN) of the connection instead of a response. */
export const hangUp: Outcome = (_, response) => void response.socket?.end();

/** The head of a response with status 200, and a reset. */
export const cutAfterHead: Outcome = (call, response) => {
  call.bill();
  startStream(call, response);
  // A reset right behind the head could overtake it.
  setTimeout(() => cutConnection(response), 20);
};

/** The first half of a response, and a reset. */
export const cutAfterText: Outcome = (call, response) => {
  call.bill();
  const half = call.isStream
    ? Buffer.concat([streamPieces(call).begin, streamPieces(call).text])
    : JSON.stringify(wholeBody(call)).slice(0, 20);
  startStream(call, response);
  response.write(half, () => void setTimeout(() => cutConnection(response), 20));
};

/** Nothing at all, for as long as the client waits. */
export const staySilent: Outcome = () => {};

/** Another outcome after so long. */
export function after(delayMs: number, outcome: Outcome): Outcome {
  return (call, response) =>
    new Promise((resolve) =>
      setTimeout(() => resolve(response.destroyed ? undefined : outcome(call, response)), delayMs),
    );
}

/** The model, the form and what is used, of a request. */
export function readCall(rawTarget: string, body: Buffer): Omit<BedrockCall, 'text' | 'bill'> & { cacheKey?: string } {
  const content = parse(body);
  const [path = ''] = rawTarget.split('?');
  const [, label, action] = /^\/model\/([^/]+)\/([\w-]+)$/.exec(path) ?? [];
  const root = path.endsWith('/chat/completions') ? 'chat' : path.endsWith('/messages') ? 'messages' : undefined;
  const form = action ?? root;
  const model = label === undefined ? content.model : decodeURIComponent(label);
  const isStream = action === undefined ? content.stream === true : action.endsWith('-stream');
  const { system, tools } = content;
  const isCached = /"cachePoint"|"cache_control"/.test(body.toString());
  const inputTokens = Math.ceil(JSON.stringify(content.messages ?? '').length / 4);
  const usage = { inputTokens, outputTokens: 10, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 };
  const cacheKey = sha256Hex(Buffer.from(JSON.stringify([model, system, tools])));
  return { form, model, isStream, usage, ...(isCached ? { cacheKey } : {}) };
}

interface RequestContent {
  readonly model?: string;
  readonly stream?: boolean;
  readonly system?: unknown;
  readonly tools?: unknown;
  readonly messages?: unknown;
}

function parse(body: Buffer): RequestContent {
  try {
    return JSON.parse(body.toString()) as RequestContent;
  } catch {
    return {};
  }
}

function startStream({ form, isStream }: BedrockCall, response: ServerResponse): void {
  if (isStream && (form === 'chat' || form === 'messages')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  } else if (isStream) startEventStream(response);
  else {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 10_000 });
    response.flushHeaders();
  }
}

const anthropicUsage = ({ usage }: BedrockCall): object => ({
  input_tokens: usage.inputTokens,
  output_tokens: usage.outputTokens,
  cache_read_input_tokens: usage.cacheReadInputTokens,
  cache_creation_input_tokens: usage.cacheWriteInputTokens,
});

const chatUsage = ({ usage: { inputTokens, outputTokens } }: BedrockCall): object => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens,
});

const converseUsage = ({ usage }: BedrockCall): object => ({
  ...usage,
  totalTokens: Object.values(usage).reduce((sum, count) => sum + count, 0),
});

function wholeBody(call: BedrockCall): object {
  const { form, model, text } = call;
  if (form === 'converse') {
    const message = { role: 'assistant', content: [{ text }] };
    return { output: { message }, stopReason: 'end_turn', usage: converseUsage(call), metrics: { latencyMs: 1 } };
  }
  if (form === 'invoke' || form === 'messages') {
    const content = [{ type: 'text', text }];
    const usage = anthropicUsage(call);
    return { id: 'msg_1', type: 'message', role: 'assistant', model, content, stop_reason: 'end_turn', usage };
  }
  if (form === 'count-tokens') return { inputTokens: call.usage.inputTokens };
  if (form !== 'chat') return {};
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }];
  return { id: 'chatcmpl-1', object: 'chat.completion', model, choices, usage: chatUsage(call) };
}

interface Pieces {
  readonly begin: Buffer;
  readonly text: Buffer;
  readonly end: Buffer;
}

function streamPieces(call: BedrockCall): Pieces {
  const { form, text } = call;
  if (form === 'converse-stream') {
    return {
      begin: eventFrame('messageStart', { role: 'assistant' }),
      text: eventFrame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 }),
      end: Buffer.concat([
        eventFrame('contentBlockStop', { contentBlockIndex: 0 }),
        eventFrame('messageStop', { stopReason: 'end_turn' }),
        eventFrame('metadata', { usage: converseUsage(call), metrics: { latencyMs: 1 } }),
      ]),
    };
  }
  if (form === 'chat') {
    const last = chatChunk({}, { choices: [], usage: chatUsage(call) });
    return {
      begin: chatChunk({ role: 'assistant' }),
      text: chatChunk({ content: text }),
      end: Buffer.concat([last, Buffer.from('data: [DONE]\n\n')]),
    };
  }
  const write = form === 'messages' ? sseEvent : chunkFrame;
  const usage = anthropicUsage(call);
  return {
    begin: write('message_start', { message: { role: 'assistant', usage: { ...usage, output_tokens: 1 } } }),
    text: write('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
    end: Buffer.concat([write('message_delta', { delta: {}, usage }), write('message_stop', {})]),
  };
}

const chatChunk = (delta: object, more: object = {}): Buffer => {
  const chunk = { object: 'chat.completion.chunk', choices: [{ index: 0, delta }], ...more };
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
};

const sseEvent = (type: string, content: object): Buffer =>
  Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, ...content })}\n\n`);

const chunkFrame = (type: string, content: object): Buffer =>
  eventFrame('chunk', { bytes: Buffer.from(JSON.stringify({ type, ...content })).toString('base64') });
