/**
 * The inspector's API, as the page calls it. The token comes in the address's fragment, which no server, log or
 * Referer sees; it is kept for this origin, port included, and sent as Bearer.
 */
import { signal } from '@preact/signals';
import type { SavedExchanges } from '../../src/inspector/wire.ts';
import { answerSaved, failure, saved } from './saved.ts';

const BASE = '/inspect/api/v1';
const STORED = 'bedrock-proxy-inspect-token';

/** Undefined: the page was opened without one. */
export const token = signal<string | undefined>(takeToken());
/** Another link, in a page that is open: it is as if it had been opened anew. */
addEventListener('hashchange', () => {
  if (/^#[ct]=/.test(location.hash)) location.reload();
});
/** Until the code of a link was given for the token. */
const isReady = exchangeCode();

/** From the address, out of which it goes at once, or from the last visit. */
function takeToken(): string | undefined {
  const [, given] = /^#t=([\w-]+)/.exec(location.hash) ?? [];
  if (given !== undefined) {
    history.replaceState(undefined, '', `${location.pathname}#/`);
    try {
      localStorage.setItem(STORED, given);
    } catch {
      // Storage is switched off: it counts until the page is left.
    }
    return given;
  }
  try {
    return localStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}

/** `#c=`: a link that a program opened holds no token, but a code that is good for it once. */
async function exchangeCode(): Promise<void> {
  const [, code] = /^#c=([\w-]+)/.exec(location.hash) ?? [];
  if (code === undefined) return;
  history.replaceState(undefined, '', `${location.pathname}#/`);
  try {
    const headers = { authorization: `Bearer ${code}`, 'content-type': 'application/json' };
    const response = await fetch(`${BASE}/token`, { method: 'POST', headers, body: '{}', cache: 'no-store' });
    const said: unknown = response.ok ? await response.json() : undefined;
    if (typeof said === 'object' && said !== null && 'token' in said && typeof said.token === 'string')
      setToken(said.token);
  } catch {
    // The first call says what is wrong.
  }
}

/** From now on this one counts; undefined: none, and none is kept. */
export function setToken(given: string | undefined): void {
  token.value = given;
  try {
    if (given === undefined) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, given);
  } catch {
    // As above.
  }
}

/** A refusal of the API, or a server that does not respond (`status` 0). */
export class ApiFailure extends Error {
  readonly status: number;
  readonly hint: string | undefined;

  constructor(message: string, status: number, hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** The bare response of `/inspect/api/v1` + path. Throws ApiFailure. */
export async function call(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  { body, signal: abort }: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  await isReady;
  const headers: Record<string, string> = { authorization: `Bearer ${token.value ?? ''}` };
  if (method !== 'GET') headers['content-type'] = 'application/json';
  const init: RequestInit = { method, headers, cache: 'no-store' };
  if (method !== 'GET') init.body = JSON.stringify(body ?? {});
  if (abort !== undefined) init.signal = abort;
  let response: Response;
  try {
    response = await (saved === undefined ? fetch(BASE + path, init) : answer(saved, method, path));
  } catch (thrown) {
    if (abort?.aborted === true) throw thrown;
    throw new ApiFailure('The proxy does not respond.', 0, 'Is it still running?');
  }
  if (response.ok) return response;
  const said: unknown = await response.json().catch(() => undefined);
  throw new ApiFailure(findMessage(said) ?? `The proxy responded with ${response.status}.`, response.status);
}

/** What to tell the reader of a failure. */
export function describeFailure(thrown: unknown): string {
  const hint = thrown instanceof ApiFailure && thrown.hint !== undefined ? ` ${thrown.hint}` : '';
  return (thrown instanceof Error ? thrown.message : String(thrown)) + hint;
}

/** A saved page has no server. */
function answer(held: SavedExchanges, method: string, path: string): Response {
  return method === 'GET' ? answerSaved(held, path) : failure(405, 'A saved page changes nothing.');
}

function findMessage(said: unknown): string | undefined {
  if (typeof said !== 'object' || said === null || !('error' in said)) return undefined;
  const { error } = said;
  if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
  return typeof error.message === 'string' ? error.message : undefined;
}

/** JSON of a GET. Throws ApiFailure. */
export async function getJson<Result>(path: string, abort?: AbortSignal): Promise<Result> {
  const response = await call('GET', path, abort === undefined ? {} : { signal: abort });
  return (await response.json()) as Result;
}

/** JSON of another method; undefined if the response has no body. Throws ApiFailure. */
export async function send<Result>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Result> {
  const response = await call(method, path, { body });
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as Result;
}

/**
 * Server-sent events of a path, until `abort` fires or the server ends them. `EventSource` sends no header. Resolves
 * when they have ended; throws ApiFailure.
 */
export async function openEvents(
  path: string,
  onEvent: (event: string, data: unknown) => void,
  abort: AbortSignal,
  onOpen?: () => void,
): Promise<void> {
  const { body } = await call('GET', path, { signal: abort });
  onOpen?.();
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split('\n\n');
    rest = events.pop() ?? '';
    for (const text of events) {
      const event = /^event: ?(.*)$/m.exec(text)?.[1] ?? 'message';
      const data = [...text.matchAll(/^data: ?(.*)$/gm)].map(([, line = '']) => line).join('\n');
      if (data !== '') onEvent(event, JSON.parse(data));
    }
  }
}
