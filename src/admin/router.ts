/**
 * Serves the admin API: finds the endpoint, asks for the key, reads query and body, answers. Beside the way, not on it;
 * what an endpoint does is its own business.
 */
import { sendJson } from '../http/send-response.ts';
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonExtent, type JsonObject, measureJson } from '../lib/json.ts';
import type { ClientRequest } from '../http/message.ts';
import { readBody } from '../http/body.ts';
import { admitAdmin } from './access.ts';
import type { AdminHandler, AdminOptions } from './admin-options.ts';
import type { Endpoint } from './endpoint.ts';
import { AdminError, sendEnvelope } from './envelope.ts';
import { createCassetteEndpoint } from './cassette-endpoint.ts';
import { createFaultEndpoints } from './fault-endpoints.ts';
import { createKeyEndpoints } from './key-endpoints.ts';
import { createDocumentEndpoint } from './openapi.ts';
import { createSpendEndpoints } from './spend-endpoints.ts';

/** No endpoint takes half as many. */
const MAX_PARAMETERS = 50;
/** Twice what a thousand tokens and a thousand aliases need. */
const BODY_LIMITS = { maxSizeBytes: 256_000, idleTimeoutMs: 30_000 };
/** A megabyte of small values took the event loop 50 ms to parse, and 230 ms to be refused one by one. */
const MAX_EXTENT: JsonExtent = { depth: 100, values: 10_000 };

const OWNERS = /^\/(?:user|team|organization|customer|end_user|project)(?:\/|$)/;

/** All that the admin API serves, the document about itself included. */
export function createEndpoints(options: AdminOptions): readonly Endpoint[] {
  const endpoints: Endpoint[] = [
    ...createKeyEndpoints(options),
    ...createSpendEndpoints(options),
    ...createFaultEndpoints(options),
    createCassetteEndpoint(options),
  ];
  endpoints.push(createDocumentEndpoint(endpoints, options.version));
  return endpoints;
}

/** Makes the handler behind `createAdminApi`. */
export function createRouter(options: AdminOptions): AdminHandler {
  const endpoints = createEndpoints(options);
  return async (clientRequest, clientResponse) => {
    try {
      sendJson(200, await serve(clientRequest, endpoints, options), clientResponse);
    } catch (error) {
      sendEnvelope(error, clientResponse);
    }
  };
}

/** Who has no key is told nothing; whoever has one, also where nothing is. */
async function serve(
  clientRequest: ClientRequest,
  endpoints: readonly Endpoint[],
  options: AdminOptions,
): Promise<unknown> {
  const { target } = clientRequest;
  const path = target.path.replace(/(?<=.)\/$/, '');
  const here = endpoints.filter((endpoint) => matchPath(endpoint.path, path) !== undefined);
  const ownKey = await admitAdmin(clientRequest, here[0]?.access ?? 'own key', options);
  if (here.length === 0) throw unknownPath(path, endpoints);
  const endpoint = here.find(({ method }) => method === clientRequest.method);
  if (endpoint === undefined) throw wrongMethod(here);
  return endpoint.serve({
    ownKey,
    pathKey: decodeKey(matchPath(endpoint.path, path)),
    query: parseParameters(target.query ?? ''),
    body: endpoint.body === undefined ? {} : await readObject(clientRequest),
  });
}

/** What stands in the place of `{key}`, or '' where there is no such place; undefined where the path is another one. */
function matchPath(pattern: string, path: string): string | undefined {
  const [before = '', after] = pattern.split('{key}');
  if (after === undefined) return path === pattern ? '' : undefined;
  if (!path.startsWith(before) || !path.endsWith(after)) return undefined;
  const key = path.slice(before.length, path.length - after.length);
  return key === '' || key.includes('/') || path.length < before.length + after.length ? undefined : key;
}

function decodeKey(key: string | undefined): string | undefined {
  if (key === undefined || key === '') return undefined;
  try {
    return decodeURIComponent(key);
  } catch {
    throw new AdminError('The key in the path is not percent-encoded UTF-8.', { param: 'key' });
  }
}

/** Parameters without a value ask for nothing. */
function parseParameters(text: string): Record<string, string> {
  // Before they are taken apart: a public path reads them too.
  if (text.split('&', MAX_PARAMETERS + 1).length > MAX_PARAMETERS) {
    throw new AdminError(`There are more than ${MAX_PARAMETERS} query parameters.`);
  }
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (value === '') continue;
    const param = name.slice(0, 100);
    if (parameters.has(name)) throw new AdminError(`The query parameter ${param} is given twice.`, { param });
    parameters.set(name, value);
  }
  return Object.fromEntries(parameters);
}

async function readObject(clientRequest: ClientRequest): Promise<JsonObject> {
  const { chunks } = await readBody(clientRequest, BODY_LIMITS);
  const bytes = Buffer.concat(chunks);
  const { depth, values } = measureJson(bytes);
  if (depth > MAX_EXTENT.depth) throw new AdminError(`The body is nested deeper than ${MAX_EXTENT.depth} times.`);
  if (values > MAX_EXTENT.values) throw new AdminError(`The body has more than ${MAX_EXTENT.values} values.`);
  const text = bytes.toString('utf8');
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Told below, like every other thing that is no object.
  }
  throw new AdminError('The body must be a JSON object.');
}

function unknownPath(asked: string, endpoints: readonly Endpoint[]): ProxyError {
  const paths = endpoints.map(({ method, path }) => `${method} ${path}`).join(', ');
  const message = OWNERS.test(asked)
    ? 'The proxy has no users, teams or organizations: user_id and team_id of a key are tags of it.'
    : 'The admin API has nothing at this path.';
  return new AdminError(message, { status: 404, type: 'not_found_error', hint: `It has ${paths}.` });
}

function wrongMethod(here: readonly Endpoint[]): ProxyError {
  const allow = here.map(({ method }) => method).join(', ');
  return new AdminError(`This path wants ${allow}.`, { status: 405, headers: [['allow', allow]] });
}
