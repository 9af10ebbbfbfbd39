/**
 * The operation tables as records: one `Service` per service and one `Operation` per line of generated.ts and route of
 * rows.ts. Read once, at import.
 */
import { type ModelledServiceId, SERVICE_TABLES } from './generated.ts';
import type { Effect, ServiceRows } from './facts.ts';
import { OPERATION_ROWS } from './find-facts.ts';
import { ROWS } from './rows.ts';

/** Every service a request can go to. The last two have no AWS model. */
export type ServiceId = ModelledServiceId | 'bedrock-mantle' | 'agentcore-gateway';

/** A service of AWS, as far as requests to it are concerned. */
export interface Service {
  readonly id: ServiceId;
  /** The service in the credential scope of the signature AWS expects. */
  readonly signingName: string;
  readonly plane: 'data' | 'control';
  /** Whether AWS accepts Bedrock API keys (bearer) here. */
  readonly bearerKeys: boolean;
  readonly targetPrefix: string | undefined;
}

/**
 * What travels in the response's body, or both ways: `events` is AWS's binary event stream, `both` the same in both
 * directions (HTTP/2 only), `blob` bytes of any kind, `sse` server-sent events if the request's body asks for them.
 */
type StreamKind = 'none' | 'events' | 'both' | 'blob' | 'sse' | 'websocket';

/** One route: an operation may have several. */
export interface Operation {
  readonly service: Service;
  /** AWS's name (`ConverseStream`); undefined for the catch-all routes of rows.ts. */
  readonly name: string | undefined;
  /** `*` is any method. */
  readonly method: string;
  /** `{label}` stands for one raw segment, a last `{label+}` for one or more. A trailing slash counts. */
  readonly template: string;
  readonly effect: Effect;
  readonly stream: StreamKind;
}

const MANUAL_SERVICES: readonly Service[] = [
  {
    id: 'bedrock-mantle',
    signingName: 'bedrock-mantle',
    plane: 'data',
    bearerKeys: true,
    targetPrefix: undefined,
  },
  {
    id: 'agentcore-gateway',
    signingName: 'bedrock-agentcore',
    plane: 'data',
    bearerKeys: false,
    targetPrefix: undefined,
  },
];

/** Every service, by id. */
export const SERVICES: ReadonlyMap<string, Service> = new Map(
  [...SERVICE_TABLES, ...MANUAL_SERVICES].map(({ id, signingName, plane, bearerKeys, targetPrefix }) => [
    id,
    { id, signingName, plane, bearerKeys, targetPrefix },
  ]),
);

/** The operations that no AWS SDK model describes: the `routes` of `rows.ts`. */
const MANUAL_OPERATIONS: readonly Operation[] = (Object.keys(ROWS) as (keyof typeof ROWS)[]).flatMap((id) =>
  (ROWS[id] as ServiceRows).flatMap(([name, { routes = [] }]) =>
    routes.map((route) => readOperation(findService(id), route.replace(/^(\S+ \S+)/, `$1 ${name}`))),
  ),
);

/** Every operation: the modelled ones, then the others. */
export const OPERATIONS: readonly Operation[] = [
  ...SERVICE_TABLES.flatMap(({ id, operations }) =>
    operations
      .trim()
      .split('\n')
      .map((line) => readOperation(findService(id), line)),
  ),
  ...MANUAL_OPERATIONS,
];

/** The service of an id this program itself wrote down. */
export function findService(id: ServiceId): Service {
  const service = SERVICES.get(id);
  if (service === undefined) throw new TypeError(`no such service: ${id}`);
  return service;
}

function readOperation(service: Service, line: string): Operation {
  const [method = '', template = '', name = '-', ...flags] = line.split(' ');
  const readOnly = flags[0] === 'read';
  const stream = readStreamKind(flags[readOnly ? 1 : 0]);
  const byPlane = service.plane === 'data' ? 'invoke' : 'write';
  const effect = OPERATION_ROWS.get(service.id)?.get(name)?.effect ?? (readOnly ? 'read' : byPlane);
  return { service, name: name === '-' ? undefined : name, method, template, effect, stream };
}

function readStreamKind(flag: string | undefined): StreamKind {
  switch (flag) {
    case undefined:
      return 'none';
    case 'events':
    case 'both':
    case 'blob':
    case 'sse':
    case 'websocket':
      return flag;
    default:
      throw new TypeError(`no such flag: ${flag}`);
  }
}
