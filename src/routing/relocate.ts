/**
 * The same request elsewhere: in another region, at another endpoint, by the name that its model has there. Pure. Body,
 * query and all else of the target stay what they are.
 */
import { joinTarget } from '../http/target.ts';
import { findEndpoint } from '../operations/endpoint.ts';
import { chooseRegion } from '../protocol/region.ts';
import { isHome, renameModel, type Route, type RoutingConfig } from './route.ts';

/** Where a request is to go instead. */
export interface Relocation {
  /** Undefined: its own region. */
  readonly region: string | undefined;
  /** What the model in its path is called there; undefined: the same. */
  readonly modelId: string | undefined;
}

/**
 * `config` is that of the other place. A route that its body may still change is changed in both forms. Throws
 * ERR_NOT_SUPPORTED as `findRoute` does.
 */
export function relocateRoute(route: Route, { region, modelId }: Relocation, config: RoutingConfig): Route {
  const { endpoint, upstreamTarget, otherwise } = route;
  const chosen = chooseRegion({ header: undefined, scope: undefined, arn: undefined, default: region ?? route.region });
  const { origin, host, pathPrefix } = findEndpoint(endpoint.service, chosen, config, endpoint.gatewayId);
  const own = upstreamTarget.path.slice(endpoint.pathPrefix.length);
  const path = modelId === undefined ? own : renameModel(own, modelId);
  return {
    ...route,
    region: chosen.region,
    bearerKeys: endpoint.takesApiKeys && isHome(chosen, config),
    origin,
    host,
    endpoint: { ...endpoint, pathPrefix },
    upstreamTarget: joinTarget(pathPrefix + path, upstreamTarget.query),
    ...(modelId !== undefined && { modelId, modelAlias: route.modelAlias ?? route.modelId }),
    otherwise: otherwise && { ...otherwise, route: relocateRoute(otherwise.route, { region, modelId }, config) },
  };
}
