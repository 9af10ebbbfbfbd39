/**
 * Which service and which operation a request is for, and which path goes there: explicit prefix, then `X-Amz-Target`,
 * then method and path, then the client's credentials and user agent. Pure; region and host come after.
 */
import { ProxyError } from '../lib/errors.ts';
import { findService, type Operation, OPERATIONS, type Service, SERVICES } from '../operations/catalog.ts';
import type { Effect } from '../operations/facts.ts';
import { type Choice, disambiguate, findByName, type OpenaiUpstream } from './disambiguate.ts';
import { findNativePath, findOtherPrefix } from './familiar-paths.ts';
import type { RequestHints } from './request-hints.ts';
import { matchOperations } from '../operations/matcher.ts';
import { stripMount } from './target.ts';
import { unknownOperation, unknownTarget } from './unknown-operation.ts';

/** The operation of a request, and the path that AWS gets. */
export interface ResolvedOperation {
  /** Where the request goes. */
  readonly service: Service;
  /**
   * What it is; undefined if the tables do not know the path. Of another service if the client named one that does not
   * have this path: whoever serves it may serve that service too.
   */
  readonly operation: Operation | undefined;
  /** What else the path is, of another service, if that reaches further and the client named the service. */
  readonly alsoReaches: Operation | undefined;
  readonly otherwise: Choice['otherwise'];
  /**
   * Raw, starts with a slash: what is left of the client's path, unchanged. Two exceptions: `encodeModelArn` and
   * `findNativePath`.
   */
  readonly path: string;
  /** Only for service `agentcore-gateway`. */
  readonly gatewayId: string | undefined;
}

/** What an operation is found by. */
export interface OperationQuery {
  readonly method: string;
  /** Raw, below the mount, starts with a slash. */
  readonly path: string;
  readonly hints: RequestHints;
  readonly openaiUpstream: OpenaiUpstream;
  /** For the wording of errors only. */
  readonly mountPath: string;
  /** Whether the client left the mount out. */
  readonly isAtRoot?: boolean;
}

/** A DNS label. The id becomes one, so nothing else may pass. */
const GATEWAY_ID_SHAPE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Methods of unknown operations that are forwarded: all but CONNECT and TRACE. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const ARN_MODEL_PATH = /^\/model\/arn(?::|%3a)/i;

const TARGETS: ReadonlyMap<string, Operation> = new Map(
  OPERATIONS.flatMap((operation) => {
    const { targetPrefix } = operation.service;
    return targetPrefix === undefined ? [] : [[`${targetPrefix}.${operation.name}`, operation] as const];
  }),
);
const AWS_JSON = [...SERVICES.values()].filter(({ targetPrefix }) => targetPrefix !== undefined);
const MODEL_ACTIONS: ReadonlySet<string> = new Set(
  OPERATIONS.filter(({ template }) => template.startsWith('/model/{modelId}/')).map(({ template }) =>
    template.slice('/model/{modelId}/'.length),
  ),
);
const GATEWAY = findService('agentcore-gateway');
const GATEWAY_INVOCATION: Operation = {
  service: GATEWAY,
  name: 'InvokeGateway',
  method: '*',
  template: '/{rest+}',
  effect: 'invoke',
  stream: 'sse',
};

/** Throws ERR_UNKNOWN_OPERATION, ERR_BAD_TARGET or ERR_BAD_REQUEST. */
export function resolveOperation(query: OperationQuery): ResolvedOperation {
  const { method, isAtRoot = false } = query;
  if (!METHODS.has(method)) {
    throw new ProxyError('ERR_BAD_REQUEST', `The method ${method.slice(0, 16)} is not one Bedrock has.`);
  }
  const path = findNativePath(query.path, isAtRoot);
  const slashAt = path.indexOf('/', 1);
  const head = path.slice(1, slashAt === -1 ? undefined : slashAt);
  const named = SERVICES.get(head);
  if (named !== undefined) return findExplicit(named, stripMount(path, `/${head}`) ?? '/', query);
  if (path === '/') return findByTarget(query);
  return findByPath(query, path) ?? findByPath(query, encodeModelArn(path)) ?? findByClient(query);
}

/**
 * A hand-written ARN with raw slashes after `/model/` as one segment: everything up to a known last segment, its
 * slashes encoded. Undefined if the path is not of that form.
 */
export function encodeModelArn(path: string): string | undefined {
  if (!ARN_MODEL_PATH.test(path)) return undefined;
  const actionAt = path.lastIndexOf('/');
  const id = path.slice('/model/'.length, actionAt);
  if (!MODEL_ACTIONS.has(path.slice(actionAt + 1)) || !id.includes('/')) return undefined;
  if (id.endsWith('/') || id.includes('//')) return undefined;
  return `/model/${id.replaceAll('/', '%2F')}${path.slice(actionAt)}`;
}

/** `/<service-id>/<path>`: the caller has named the service, so an unknown operation goes there too. */
function findExplicit(service: Service, path: string, query: OperationQuery): ResolvedOperation {
  if (service.id === 'agentcore-gateway') return findGateway(path, query);
  if (service.targetPrefix !== undefined) {
    const operation = path === '/' ? TARGETS.get(onlyTarget(query.hints) ?? '') : undefined;
    return judgeExplicit(service, query.method === 'POST' ? operation : undefined, { path, query });
  }
  const [operation] = matchOperations(query.method, path, service.id);
  const encoded = operation === undefined ? encodeModelArn(path) : undefined;
  if (encoded === undefined) return judgeExplicit(service, operation, { path, query });
  const [repaired] = matchOperations(query.method, encoded, service.id);
  return judgeExplicit(service, repaired, { path: encoded, query });
}

/** From what changes nothing to what changes most. */
const EFFECTS: readonly Effect[] = ['read', 'inference', 'invoke', 'write', 'secret'];

/**
 * An operation of the service that the client named, or what the tables know the path as if that service has no such
 * path: one endpoint may serve several services, and does if it is another proxy. `own` without a name is a catch-all.
 */
function judgeExplicit(
  service: Service,
  own: Operation | undefined,
  { path, query }: { readonly path: string; readonly query: OperationQuery },
): ResolvedOperation {
  const [most] = matchOperations(query.method, path).toSorted((one, other) => reach(other) - reach(one));
  const isNamed = own?.name !== undefined;
  const operation = !isNamed && most?.name !== undefined ? most : own;
  const alsoReaches = isNamed && reach(most) > reach(own) ? most : undefined;
  return { service, operation, ...plain(path), alsoReaches };
}

/** Control planes reach further: of what only reads there, less is open. */
function reach(operation: Operation | undefined): number {
  if (operation?.name === undefined) return -1;
  return 2 * EFFECTS.indexOf(operation.effect) + (operation.service.plane === 'control' ? 1 : 0);
}

/**
 * `/agentcore-gateway/<id>/…`: every gateway has a host of its own, and whatever paths its owner gave its targets.
 * `path` is what follows the service.
 */
function findGateway(path: string, query: OperationQuery): ResolvedOperation {
  const slashAt = path.indexOf('/', 1);
  const gatewayId = path.slice(1, slashAt === -1 ? undefined : slashAt);
  if (!GATEWAY_ID_SHAPE.test(gatewayId)) {
    throw new ProxyError('ERR_BAD_TARGET', 'The path does not name an AgentCore gateway by its id.', {
      hint:
        `The form is ${query.mountPath}/agentcore-gateway/<gateway-id>/mcp; an id has small letters, digits and ` +
        'hyphens.',
    });
  }
  const rest = stripMount(path, `/${gatewayId}`) ?? '/';
  const judged = judgeExplicit(GATEWAY, undefined, { path: rest, query });
  return { ...judged, operation: judged.operation ?? GATEWAY_INVOCATION, gatewayId };
}

/** The mount root. Some clients lose its slash; AWS needs it. An operation we do not know still names its service. */
function findByTarget({ method, path, hints, mountPath }: OperationQuery): ResolvedOperation {
  const target = onlyTarget(hints);
  if (method !== 'POST' || target === undefined) throw unknownOperation(method, path, mountPath);
  const service = AWS_JSON.find(({ targetPrefix }) => target.startsWith(`${targetPrefix}.`));
  if (service === undefined) throw unknownTarget(target);
  return { service, operation: TARGETS.get(target), ...plain('/') };
}

/** Of two targets, we could read one and AWS the other. */
function onlyTarget({ targets }: RequestHints): string | undefined {
  if (targets.length > 1) throw new ProxyError('ERR_BAD_REQUEST', 'The request has more than one X-Amz-Target header.');
  return targets[0];
}

function findByPath(query: OperationQuery, path: string | undefined): ResolvedOperation | undefined {
  if (path === undefined) return undefined;
  const { method, hints, openaiUpstream } = query;
  const choice = disambiguate(matchOperations(method, path), { path, hints, openaiUpstream });
  if (choice === undefined) return undefined;
  const { operation, otherwise = findByModel(operation, path, query) } = choice;
  return { service: operation.service, operation, ...plain(path), otherwise };
}

/** At the root `/v1` is not AWS's prefix but OpenAI's: the model decides. Not for a client of bedrock-mantle. */
function findByModel({ name }: Operation, path: string, query: OperationQuery): Choice['otherwise'] {
  const { method, hints, openaiUpstream, isAtRoot = false } = query;
  const other = isAtRoot ? findOtherPrefix(method, path) : undefined;
  if (other === undefined || name === undefined) return undefined;
  if (hints.scope?.service === 'bedrock-mantle' || hints.clientOf === 'bedrock-mantle') return undefined;
  return { rule: 'openai-prefix', operation: findByName(`bedrock-${openaiUpstream}`, name), path: other };
}

/**
 * An unknown path, from a client that names its service: an SDK newer than our tables. The signature wins over the user
 * agent. `bedrock` alone is not enough, because six services sign with it.
 */
function findByClient({ method, path, hints, mountPath }: OperationQuery): ResolvedOperation {
  const client = hints.clientOf === undefined ? undefined : SERVICES.get(hints.clientOf);
  const signedFor = hints.scope?.service;
  if (client !== undefined && (signedFor ?? client.signingName) === client.signingName) {
    return { service: client, operation: undefined, ...plain(path) };
  }
  if (signedFor === 'bedrock-agentcore' || signedFor === 'bedrock-mantle') {
    return { service: findService(signedFor), operation: undefined, ...plain(path) };
  }
  throw unknownOperation(method, path, mountPath);
}

function plain(path: string): Omit<ResolvedOperation, 'service' | 'operation'> {
  return { path, otherwise: undefined, gatewayId: undefined, alsoReaches: undefined };
}
