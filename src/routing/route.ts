/**
 * From method, target and headers to service, region, host and the very target that is sent. Pure: no I/O, no clock. It
 * decides where a request goes, never whether it may.
 */
import { ProxyError } from '../lib/errors.ts';
import type { Body } from '../http/body.ts';
import type { HeaderPair } from '../http/message.ts';
import type { RouteFacts } from '../domain/request-record.ts';
import { findAliasedModel, type ModelAliases } from '../domain/model-alias.ts';
import { decodeSegment, findArnInPath } from '../protocol/arn.ts';
import { refuseMalformedArn } from '../protocol/arn-check.ts';
import type { Operation, Service, ServiceId } from '../operations/catalog.ts';
import type { Effect } from '../operations/facts.ts';
import { type BodyRule, bodyTakesOtherWay, type OpenaiUpstream } from './disambiguate.ts';
import { type ResolvedOperation, resolveOperation } from './resolve-operation.ts';
import { type EndpointOptions, findEndpoint } from '../operations/endpoint.ts';
import { readRequestHints, type RequestHints } from './request-hints.ts';
import { chooseRegion, type ChosenRegion, findPartition, type RegionSource } from '../protocol/region.ts';
import { isServedAtRoot, wantsOpenaiPrefix } from './familiar-paths.ts';
import { refuseBadTarget, stripMount, stripQueryAuthentication } from './target.ts';
import { joinTarget, type RequestTarget } from '../http/target.ts';

const MODEL_PREFIX = '/model/';

/** What decides where requests go, besides the requests. */
export interface RoutingConfig extends EndpointOptions {
  readonly defaultRegion: string | undefined;
  readonly openaiUpstream: OpenaiUpstream;
}

/** What decides where a request goes. */
export interface RouteInput {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: readonly HeaderPair[];
  /** What the client signed for; see `PresentedCredential`. */
  readonly scope: RequestHints['scope'];
  /** `/bedrock`; without a slash at its end. Empty: everything is below the mount. */
  readonly mountPath: string;
  readonly config: RoutingConfig;
  /** Names for models that the caller may use, the strongest first. */
  readonly modelAliases?: readonly ModelAliases[];
}

/**
 * `response`: the response may be a stream (event stream, server-sent events or bytes) and must not be buffered; also
 * given if that is unknown. `bidirectional`: event streams both ways, HTTP/2 only. `websocket`: an upgrade.
 */
type Streaming = 'none' | 'response' | 'bidirectional' | 'websocket';

/** Where a request goes, and what later stages need to know of that. */
export interface Route extends RouteFacts {
  /** Whose operation it is. The client may have named another one: then the request goes there all the same. */
  readonly service: ServiceId;
  /** The service in the credential scope to sign with. */
  readonly signingName: string;
  /** The region of the host, and the one to sign with. */
  readonly region: string;
  readonly regionSource: RegionSource;
  /** Region of an ARN in the path, unchecked; if it differs from `region`, that is worth a log line. */
  readonly arnRegion: string | undefined;
  readonly plane: 'data' | 'control';
  /** Of an operation that is not known: `read` for GET and HEAD (not awsJson's, nor an upgrade), else `write`. */
  readonly effect: Effect;
  readonly streaming: Streaming;
  /**
   * Whether AWS accepts Bedrock API keys (bearer) for this, in the owner's partition; with one as upstream credential
   * all else fails.
   */
  readonly bearerKeys: boolean;
  /** Whether AWS may accept an OAuth token of the caller instead of a signature: AgentCore runtimes and gateways. */
  readonly takesOauth: boolean;
  /** Whether `X-Amz-Target` names the operation. */
  readonly keepsTarget: boolean;
  /** `https://host[:port]`. */
  readonly origin: string;
  /** `Host` as it is sent and signed. */
  readonly host: string;
  /** What `relocateRoute` starts from. */
  readonly endpoint: RouteEndpoint;
  /** The target to send and to sign, an operator's path prefix included. */
  readonly upstreamTarget: RequestTarget;
  /** Whether `resolveRouteByBody` has to see the whole body before anything is sent. */
  readonly needsBody: boolean;
  /** Private to this file: the route it becomes if the body says so. */
  readonly otherwise: { readonly rule: BodyRule; readonly route: Route } | undefined;
}

/** What of a route does not depend on region and upstream. */
export interface RouteEndpoint {
  /** Whose host it is. */
  readonly service: ServiceId;
  readonly gatewayId: string | undefined;
  /** Of an operator's endpoint; it stands before the path in the target. */
  readonly pathPrefix: string;
  /** Whether AWS takes Bedrock API keys for this, if the region is in the owner's partition. */
  readonly takesApiKeys: boolean;
}

/**
 * The route of one request. Throws ERR_BAD_TARGET, ERR_BAD_ARN, ERR_UNKNOWN_PATH (not below the mount),
 * ERR_UNKNOWN_OPERATION, ERR_BAD_REQUEST, ERR_REGION_INVALID, ERR_REGION_MISSING and ERR_NOT_SUPPORTED.
 */
export function findRoute(input: RouteInput): Route {
  const { method, target, headers, scope, mountPath, config, modelAliases = [] } = input;
  refuseBadTarget(target);
  const hints = readRequestHints(headers, scope);
  const below = stripMount(target.path, mountPath);
  const isAtRoot = below === undefined;
  const path = below ?? (isServedAtRoot(method, target.path, hints.targets.length > 0) && stripMount(target.path, ''));
  if (path === false || path === undefined) throw unknownPath(mountPath);
  const { openaiUpstream } = config;
  const named = resolveOperation({ method, path, hints, openaiUpstream, mountPath, isAtRoot });
  const { resolved, modelAlias } = replaceModel(named, modelAliases);
  refuseMalformedArn(resolved.path);
  const arnRegion = findArnInPath(resolved.path)?.region;
  const chosen = chooseRegion({
    header: hints.regionHeader,
    scope: hints.scope?.region,
    arn: arnRegion,
    default: config.defaultRegion,
  });
  const query = stripQueryAuthentication(target.query);
  return buildRoute(resolved, { method, hints, chosen, config, arnRegion: arnRegion || undefined, query, modelAlias });
}

/**
 * The model behind an alias takes its place in the path, written as the SDKs of AWS write it: what is signed, sent and
 * judged names that model. A body is never changed.
 */
function replaceModel(
  resolved: ResolvedOperation,
  modelAliases: readonly ModelAliases[],
): { readonly resolved: ResolvedOperation; readonly modelAlias: string | undefined } {
  const { service, operation, path } = resolved;
  const name = findModelId(operation?.service ?? service, path);
  const model = name === undefined ? undefined : findAliasedModel(name, modelAliases);
  if (name === undefined || model === undefined) return { resolved, modelAlias: undefined };
  return { resolved: { ...resolved, path: renameModel(path, model) }, modelAlias: name };
}

/** A path of `/model/…` with another model in it, written as the SDKs of AWS write it. */
export function renameModel(path: string, model: string): string {
  const end = path.indexOf('/', MODEL_PREFIX.length);
  return MODEL_PREFIX + encodeURIComponent(model) + (end === -1 ? '' : path.slice(end));
}

/**
 * The route after the whole body is known; the same one if the body does not matter. A body that makes no sense leaves
 * the route as it is, and AWS judges it. Rejects only with what reading a spooled body throws.
 */
export async function resolveRouteByBody(
  route: Route,
  { chunks, spool }: Pick<Body, 'chunks' | 'spool'>,
): Promise<Route> {
  const { otherwise } = route;
  if (otherwise === undefined) return route;
  const takesOther =
    otherwise.rule === 'openai-prefix'
      ? await wantsOpenaiPrefix(spool?.read() ?? chunks, route.upstreamTarget.path)
      : bodyTakesOtherWay(otherwise.rule, Buffer.concat(chunks));
  if (takesOther) return otherwise.route;
  return { ...route, needsBody: false, otherwise: undefined };
}

/** All that the route may become when the body is known. */
export function possibleRoutes(route: Route): readonly Route[] {
  return route.otherwise === undefined ? [route] : [route, route.otherwise.route];
}

/**
 * Throws ERR_BAD_REQUEST if a WebSocket is asked for on another route, or not asked for on its own. (A client that does
 * not ask as RFC 6455 says, or asks over HTTP/2, has not asked.)
 */
export function refuseUnservedUpgrade(isAsked: boolean, isServed: boolean): void {
  if (isAsked === isServed) return;
  if (isAsked) throw new ProxyError('ERR_BAD_REQUEST', 'There is no WebSocket at this path.');
  throw new ProxyError('ERR_BAD_REQUEST', 'This path is a WebSocket, and the request does not ask for one.', {
    hint:
      'Send GET over HTTP/1.1 with `Connection: Upgrade` and `Upgrade: websocket`; the proxy needs Node ' +
      '22.21, 24.9 or later.',
  });
}

interface Facts {
  readonly method: string;
  readonly hints: RequestHints;
  readonly chosen: ChosenRegion;
  readonly config: RoutingConfig;
  readonly arnRegion: string | undefined;
  readonly query: string | undefined;
  readonly modelAlias: string | undefined;
}

function buildRoute(resolved: ResolvedOperation, facts: Facts): Route {
  const { service, operation, alsoReaches, path, otherwise, gatewayId } = resolved;
  const { chosen, method, hints, config, arnRegion, query, modelAlias } = facts;
  const streaming = findStreaming(operation, hints);
  const { origin, host, pathPrefix } = findEndpoint(service.id, chosen, config, gatewayId);
  const owner = operation?.service ?? service;
  const bearerKeys = service.bearerKeys && takesApiKeys(operation, path);
  return {
    service: owner.id,
    signingName: service.signingName,
    operation: operation?.name,
    plane: (alsoReaches?.service ?? owner).plane,
    effect: findEffect(alsoReaches ?? operation, { method, service, streaming, path }),
    region: chosen.region,
    regionSource: chosen.source,
    arnRegion,
    modelId: findModelId(owner, path),
    ...(modelAlias !== undefined && { modelAlias }),
    streaming,
    bearerKeys: bearerKeys && isHome(chosen, config),
    takesOauth: takesOauth(service, path),
    keepsTarget: service.targetPrefix !== undefined,
    origin,
    host,
    endpoint: { service: service.id, gatewayId, pathPrefix, takesApiKeys: bearerKeys },
    upstreamTarget: joinTarget(pathPrefix + path, query),
    needsBody: otherwise !== undefined,
    otherwise: otherwise && {
      rule: otherwise.rule,
      route: buildRoute(
        {
          ...resolved,
          service: otherwise.operation.service,
          operation: otherwise.operation,
          path: otherwise.path ?? path,
          otherwise: undefined,
        },
        facts,
      ),
    },
  };
}

/** The exceptions within services that take API keys: the bidirectional stream, and Managed Agents on mantle. */
function takesApiKeys(operation: Operation | undefined, path: string): boolean {
  return operation?.stream !== 'both' && !path.startsWith('/openai/v1/agents/');
}

/**
 * An API key is a secret that goes out whole, and callers may name any region: it is not shown to another partition,
 * which other companies run and which does not know it.
 */
export function isHome({ partition }: ChosenRegion, { defaultRegion }: RoutingConfig): boolean {
  return partition.id === (findPartition(defaultRegion ?? '')?.id ?? 'aws');
}

function takesOauth({ id }: Service, path: string): boolean {
  return id === 'agentcore-gateway' || (id === 'bedrock-agentcore' && /^\/(?:runtimes|browser-streams)\//.test(path));
}

interface UnknownFacts extends Pick<Facts, 'method'>, Pick<Route, 'streaming'> {
  readonly service: Service;
  readonly path: string;
}

/** Of AgentCore's Identity, which hands out tokens and API keys. */
const IDENTITY_PATH = /identit/i;

/** As far as it can be decoded. */
function decodeTwice(path: string): string {
  return decodeSegment(decodeSegment(path));
}

/** With awsJson the method says nothing, because `X-Amz-Target` names the operation. */
function findEffect(operation: Operation | undefined, { method, service, streaming, path }: UnknownFacts): Effect {
  if (operation !== undefined && operation.name !== undefined) return operation.effect;
  // It may be a known path in disguise, such as `/identi%74ies/api-key`.
  if (IDENTITY_PATH.test(decodeTwice(path))) return 'secret';
  if (streaming === 'websocket' || service.targetPrefix !== undefined) return 'write';
  return method === 'GET' || method === 'HEAD' ? 'read' : 'write';
}

function findStreaming(operation: Operation | undefined, { asksForWebSocket }: RequestHints): Streaming {
  if (operation === undefined || operation.method === '*') return asksForWebSocket ? 'websocket' : 'response';
  switch (operation.stream) {
    case 'none':
    case 'websocket':
      return operation.stream;
    case 'both':
      return 'bidirectional';
    case 'events':
    case 'blob':
    case 'sse':
      return 'response';
    default:
      return operation.stream satisfies never;
  }
}

/** Of bedrock-runtime's `/model/{modelId}/…` only, known operation or not: elsewhere a model is named but not used. */
function findModelId(service: Service, path: string): string | undefined {
  if (service.id !== 'bedrock-runtime' || !path.startsWith(MODEL_PREFIX)) return undefined;
  const end = path.indexOf('/', MODEL_PREFIX.length);
  const segment = path.slice(MODEL_PREFIX.length, end === -1 ? undefined : end);
  return segment === '' ? undefined : decodeSegment(segment);
}

function unknownPath(mountPath: string): ProxyError {
  return new ProxyError('ERR_UNKNOWN_PATH', `Nothing is served outside ${mountPath}/.`, {
    hint: `Let the client's endpoint URL end in ${mountPath}.`,
  });
}
