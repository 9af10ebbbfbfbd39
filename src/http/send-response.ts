/**
 * Answers of our own, sent whole. Used by every room that answers without AWS; holds no decisions.
 */
import { type ErrorAnswer, type ProxyError, renderError } from '../lib/errors.ts';
import type { ClientResponse, HeaderPair } from './message.ts';

/** Sends a complete answer. What is left of the request's body is dropped. */
export function sendAnswer(answer: ErrorAnswer, clientResponse: ClientResponse): void {
  const sink = clientResponse.start(answer.status, answer.headers);
  clientResponse.dropRequestBody();
  sink.end(answer.body);
}

/** Sends JSON, ending in a newline for people who use curl. */
export function sendJson(
  status: number,
  value: unknown,
  clientResponse: ClientResponse,
  moreHeaders: readonly HeaderPair[] = [],
): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  const headers: HeaderPair[] = [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['cache-control', 'no-store'],
    ...moreHeaders,
  ];
  sendAnswer({ status, headers, body }, clientResponse);
}

/** Sends an error of ours in the AWS shape or, where an answer has begun already, breaks that off. Never throws. */
export function answerError(error: ProxyError, clientResponse: ClientResponse, requestId: string): void {
  try {
    if (clientResponse.headersSent) clientResponse.breakOff();
    else sendAnswer(renderError(error, requestId), clientResponse);
  } catch {
    clientResponse.breakOff();
  }
}
