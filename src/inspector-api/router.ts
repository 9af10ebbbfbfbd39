/**
 * Serves `/inspect/`: the files of the page to everybody, and the API to whoever shows the token. Beside the way, not
 * on it. Errors have the envelope of the admin API.
 */
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';
import { sendResponse } from '../http/send-response.ts';
import { toProxyError } from '../lib/errors.ts';
import { LinkCodes } from '../auth/link-code.ts';
import { admitByCode, admitInspector, requireChanger } from './access.ts';
import { noSuchPath, reply, requireJson, sendApiError } from './call.ts';
import { INSPECTOR_API, type InspectorEndpoint } from './endpoint.ts';
import { EXCHANGE_ENDPOINTS } from './exchange-endpoints.ts';
import { LIST_ENDPOINTS } from './list-endpoints.ts';
import { describeInspectorApi } from './openapi.ts';
import type { InspectorHandler, InspectorOptions } from './options.ts';
import { GUARD_HEADERS, sendPageFile } from './page-files.ts';

const PAGE = '/inspect/';
/** Gives the token for the code of a link. */
const TOKEN_PATH = `${INSPECTOR_API}token`;

/** All of the API. */
export const INSPECTOR_ENDPOINTS: readonly InspectorEndpoint[] = [
  ...LIST_ENDPOINTS,
  ...EXCHANGE_ENDPOINTS,
  {
    method: 'GET',
    path: 'openapi.json',
    summary: 'All of this as an OpenAPI document.',
    serve: (call) => reply(call, describeInspectorApi(INSPECTOR_ENDPOINTS, call.options.tellState().version)),
  },
];

/** Makes the handler of everything below `/inspect`. */
export function createInspectorHandler(options: InspectorOptions): InspectorHandler {
  const codes = new LinkCodes(options.token);
  return async (clientRequest, clientResponse) => {
    const { method, target } = clientRequest;
    const { path } = target;
    try {
      const isRead = method === 'GET' || method === 'HEAD';
      if (isRead && path === '/inspect') return redirect(clientResponse);
      if (isRead && path.startsWith(PAGE) && sendPageFile(path.slice(PAGE.length), method === 'HEAD', clientResponse)) {
        return;
      }
      if (method === 'POST' && path === TOKEN_PATH) {
        await admitByCode(clientRequest, { ...options, codes });
        return reply({ clientResponse }, { token: options.token });
      }
      await serveApi(clientRequest, clientResponse, options);
    } catch (thrown) {
      sendApiError(toProxyError(thrown), clientResponse);
    }
  };
}

/** Who shows no token is told nothing, not even what there is. */
async function serveApi(
  clientRequest: ClientRequest,
  clientResponse: ClientResponse,
  options: InspectorOptions,
): Promise<void> {
  const caller = await admitInspector(clientRequest, options);
  const { method, target } = clientRequest;
  if (!target.path.startsWith(INSPECTOR_API)) throw noSuchPath();
  const segments = target.path.slice(INSPECTOR_API.length).split('/');
  const endpoint = INSPECTOR_ENDPOINTS.find((each) => each.method === method && isAt(each, segments));
  if (endpoint === undefined) throw noSuchPath();
  const call = { options, caller, clientRequest, clientResponse, query: new URLSearchParams(target.query ?? '') };
  if (method !== 'GET') requireJson(call);
  if (endpoint.isChange === true) requireChanger(caller, options);
  await endpoint.serve({
    ...call,
    id: segmentOf(endpoint, segments, '{id}'),
    layer: segmentOf(endpoint, segments, '{layer}'),
  });
}

function isAt({ path }: InspectorEndpoint, segments: readonly string[]): boolean {
  const pattern = path.split('/');
  return (
    pattern.length === segments.length &&
    pattern.every((part, at) => (part.startsWith('{') ? segments[at] !== '' : part === segments[at]))
  );
}

function segmentOf({ path }: InspectorEndpoint, segments: readonly string[], name: string): string {
  return segments[path.split('/').indexOf(name)] ?? '';
}

function redirect(clientResponse: ClientResponse): void {
  const headers: HeaderPair[] = [['location', PAGE], ['content-length', '0'], ...GUARD_HEADERS];
  sendResponse({ status: 308, headers, body: Buffer.alloc(0) }, clientResponse);
}
