/**
 * Where a service is reached: AWS's host name for service, region and partition, or the operator's own endpoint. Pure.
 * The caller has checked the region. The formula is the one of AWS's endpoint rules; `scripts/generate-operations.mjs`
 * fails when they change.
 */
import { ProxyError } from '../lib/errors.ts';
import { type ServiceId, SERVICES } from './catalog.ts';
import type { ChosenRegion } from '../protocol/region.ts';

/** Which endpoints of AWS are used, and which are replaced. */
export interface EndpointOptions {
  readonly fips: boolean;
  readonly dualstack: boolean;
  /**
   * An operator's endpoint; wins over `fips` and `dualstack`. The key `*` is for services that have none of their own.
   */
  readonly endpointUrls: ReadonlyMap<ServiceId | '*', EndpointTemplate>;
}

/** An operator's endpoint, taken apart. Each part may hold `{service}` and `{region}`. */
export interface EndpointTemplate {
  readonly scheme: 'http' | 'https';
  /** Host and port. */
  readonly authority: string;
  /** Starts with a slash and does not end in one; empty if there is none. */
  readonly pathPrefix: string;
}

/** Where a service is reached. */
export interface ServiceEndpoint {
  /** `https://host`, with the port if it is not the scheme's own. */
  readonly origin: string;
  /** As `Host` is sent and signed. */
  readonly host: string;
  readonly pathPrefix: string;
}

const PLACEHOLDER = /\{(service|region)\}/g;
const URL_SHAPE = /^(https?):\/\/([^/?#\s@\\]+)(\/[^?#\s\\]*)?$/;
const AUTHORITY_SHAPE = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;

/**
 * The endpoint of a service. `gatewayId` is for `agentcore-gateway` only, where each gateway has a host of its own.
 * Throws ERR_NOT_SUPPORTED if FIPS is asked of a service that is not known to have it: falling back would break a
 * promise.
 */
export function findEndpoint(
  service: ServiceId,
  chosen: ChosenRegion,
  options: EndpointOptions,
  gatewayId?: string,
): ServiceEndpoint {
  const hostPrefix = gatewayId === undefined ? service : `${gatewayId}.gateway.bedrock-agentcore`;
  const template = options.endpointUrls.get(service) ?? options.endpointUrls.get('*');
  if (template !== undefined) return fillTemplate(template, hostPrefix, chosen.region);
  const { region, partition } = chosen;
  const modelled = service !== 'bedrock-mantle' && service !== 'agentcore-gateway';
  if (options.fips && !(modelled && partition.supportsFips)) throw noFips(service, region);
  // Mantle's only known form stands under the dual-stack suffix; gateways have no dual-stack form that is known.
  const dualstack = service === 'bedrock-mantle' || (options.dualstack && modelled && partition.supportsDualStack);
  const suffix = dualstack ? partition.dualStackDnsSuffix : partition.dnsSuffix;
  const host = `${hostPrefix}${options.fips ? '-fips' : ''}.${region}.${suffix}`;
  return { origin: `https://${host}`, host, pathPrefix: '' };
}

/**
 * One value of `--endpoint-url`: a URL for every service, or `<service-id>=<url>` for one. `problem` says, for the
 * middle of a sentence, what is wrong with it.
 */
export function parseEndpointUrl(
  value: string,
): { readonly service: ServiceId | '*'; readonly template: EndpointTemplate } | { readonly problem: string } {
  const [, name, url = ''] = /^(?:([a-z0-9-]+)=)?(.*)$/s.exec(value) ?? [];
  const service = name === undefined ? '*' : SERVICES.get(name)?.id;
  if (service === undefined)
    return { problem: `names an unknown service: it must be one of ${[...SERVICES.keys()].join(', ')}` };
  const [, scheme, authority = '', path = ''] = URL_SHAPE.exec(url) ?? [];
  if (scheme !== 'http' && scheme !== 'https') {
    return { problem: 'must be an http:// or https:// URL without user, query and fragment' };
  }
  const port = AUTHORITY_SHAPE.exec(fillIn(authority, 'service', 'region'))?.[1];
  if (!AUTHORITY_SHAPE.test(fillIn(authority, 'service', 'region')) || Number(port ?? 1) > 65_535) {
    return { problem: 'must name a host; only {service} and {region} can stand in braces' };
  }
  const pathPrefix = path.replace(/\/+$/, '');
  if (!/^[\x21-\x7e]*$/.test(path) || /\/\.{1,2}(?:\/|$)/.test(path) || /[{}]/.test(fillIn(path, '', ''))) {
    return { problem: 'must have a plain path; only {service} and {region} can stand in braces' };
  }
  return { service, template: { scheme, authority: authority.toLowerCase(), pathPrefix } };
}

function fillTemplate(template: EndpointTemplate, service: string, region: string): ServiceEndpoint {
  const { scheme } = template;
  const authority = fillIn(template.authority, service, region);
  const host = authority.replace(scheme === 'https' ? /:0*443$/ : /:0*80$/, '');
  return { origin: `${scheme}://${host}`, host, pathPrefix: fillIn(template.pathPrefix, service, region) };
}

function fillIn(text: string, service: string, region: string): string {
  return text.replaceAll(PLACEHOLDER, (_, name) => (name === 'service' ? service : region));
}

function noFips(service: string, region: string): ProxyError {
  return new ProxyError('ERR_NOT_SUPPORTED', `No FIPS endpoint of ${service} is known in ${region}.`, {
    hint: `Give one with --endpoint-url ${service}=https://…, or start the proxy without FIPS.`,
  });
}
