/**
 * Responses of our own, sent whole: errors, and what is served without AWS.
 */
import { type ErrorResponse, type ProxyError, renderError } from '../lib/errors.ts';
import type { ClientResponse, HeaderPair } from './message.ts';

/** Sends a complete response. What is left of the request's body is dropped. */
export function sendResponse(response: ErrorResponse, clientResponse: ClientResponse): void {
  const sink = clientResponse.start(response.status, response.headers);
  clientResponse.dropRequestBody();
  sink.end(response.body);
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
  sendResponse({ status, headers, body }, clientResponse);
}

/** Sends an error of ours in the AWS shape or, if a response has begun already, breaks that off. Never throws. */
export function sendError(
  error: ProxyError,
  clientResponse: ClientResponse,
  requestId: string,
  moreHeaders: readonly HeaderPair[] = [],
): void {
  try {
    if (clientResponse.headersSent) return clientResponse.breakOff();
    const rendered = renderError(error, requestId);
    sendResponse({ ...rendered, headers: [...rendered.headers, ...moreHeaders] }, clientResponse);
  } catch {
    clientResponse.breakOff();
  }
}
