/**
 * What `start` says first: where it listens, what it signs with, who may come in, and lines to paste. Pure text.
 */
import type { ChalkInstance } from 'chalk';
import type { ServerAccess } from '../auth/server-facts.ts';
import type { CredentialsOrigin } from '../upstream/aws/credentials.ts';
import { formatLabelled } from './print.ts';

/** What the banner tells. */
export interface BannerFacts {
  readonly version: string;
  /** Under which this machine calls the proxy. */
  readonly host: string;
  /** What other machines call. */
  readonly networkUrls?: readonly string[];
  readonly port: number;
  readonly mountPath: string;
  readonly region: { readonly name: string; readonly origin: string } | undefined;
  /** From `describeCredentials`, or that they are being looked up. */
  readonly credentials: string;
  /** Nothing can be signed with them. */
  readonly lacksAuthority?: boolean;
  readonly access: ServerAccess;
  readonly upstream: string | undefined;
  readonly databasePath: string;
  /** Paths of configuration files that were read. */
  readonly configFiles?: readonly string[];
  /** Opens the page at `/inspect/`; undefined: it is off. */
  readonly inspectToken?: string | undefined;
  /** Whether exchanges are kept. */
  readonly isInspecting?: boolean;
  /** Undefined: this process alone. */
  readonly workers?: number | undefined;
  /** Spoken beside clear text, on the same port; `caFile` is what clients have to trust, where they do not already. */
  readonly tls?: { readonly caFile: string | undefined } | undefined;
}

/** Under which of its names this machine should call it; see `RunningServer`. */
export function hostOf(
  { host }: { readonly host: string },
  server: { readonly heldByOther: string | undefined },
): string {
  return server.heldByOther === undefined ? host : '127.0.0.1';
}

/** The URL people give to their clients: `localhost` if we have all of it, else the address. */
export function baseUrl(
  { host, port, mountPath }: Pick<BannerFacts, 'host' | 'port' | 'mountPath'>,
  scheme: 'http' | 'https' = 'http',
): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}${mountPath}`;
}

/** Columns before a value. */
const LABEL_WIDTH = 15;

/** The banner as text, without a line break at its end; in lines of `width` columns if a terminal has no more. */
export function formatBanner(facts: BannerFacts, paint: ChalkInstance, width?: number): string {
  const url = baseUrl(facts);
  const fields: readonly (readonly [string, string])[] = [
    ['address', paint.bold(url)],
    ...(facts.networkUrls ?? []).map((each) => ['network', each] as const),
    ...describeTls(facts, paint),
    [
      'region',
      facts.region === undefined
        ? paint.yellow('none: requests have to name one (or set --region)')
        : `${facts.region.name} (${facts.region.origin})`,
    ],
    ['credentials', facts.lacksAuthority === true ? paint.red(facts.credentials) : facts.credentials],
    ...(facts.upstream === undefined ? [] : [['upstream', facts.upstream] as const]),
    ['keys', describeAccess(facts.access)],
    ['database', facts.databasePath],
    ...(facts.configFiles ?? []).map((path) => ['settings', path] as const),
    ...describeInspector(facts, paint),
    ...(facts.workers === undefined ? [] : [['workers', `${facts.workers} processes share the port`] as const]),
  ];
  return [
    `${paint.bold('bedrock-proxy')} ${facts.version}`,
    '',
    ...fields.map(([name, value]) => formatLabelled(`  ${paint.dim(name.padEnd(11))}  `, LABEL_WIDTH, value, width)),
    '',
    formatCommands(facts, paint),
  ].join('\n');
}

/** The lines to paste, which depend on whether a key is required. Without a line break at its end. */
export function formatCommands(
  facts: Omit<BannerFacts, 'credentials'>,
  paint: ChalkInstance,
  platform: NodeJS.Platform = process.platform,
): string {
  const url = baseUrl(facts);
  const key = facts.access === 'open' ? 'anything' : 'sk-YOUR-KEY';
  const region = facts.region?.name ?? 'us-east-1';
  return [
    paint.dim('  curl'),
    ...(platform === 'win32'
      ? // Without a body, which cmd and PowerShell would want quoted each in its own way.
        [`  curl.exe -H "Authorization: Bearer ${key}" ${url}/foundation-models`]
      : [
          `  curl ${url}/model/amazon.nova-lite-v1:0/converse \\`,
          `    -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\`,
          `    -d '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}'`,
        ]),
    '',
    paint.dim('  boto3'),
    // The key pair and no bearer token: boto3 from 1.44 on sends one over https only.
    `  boto3.client("bedrock-runtime", region_name="${region}",`,
    `    endpoint_url="${url}",`,
    `    aws_access_key_id="${facts.access === 'open' ? key : 'BRPX-YOUR-ID'}", aws_secret_access_key="${key}")`,
    '',
  ].join('\n');
}

/** For example `environment variables`, or `profile dev (AWS SSO), for another 42 min`. */
export function describeCredentials({ description, expiresAtMs }: CredentialsOrigin, nowMs: number): string {
  if (expiresAtMs === undefined) return description;
  const minutes = Math.max(0, Math.round((expiresAtMs - nowMs) / 60_000));
  const left = minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${description}, for another ${left}`;
}

/** The link of the page, if it was asked for: else `bedrock-proxy inspect` and the key `i` tell it. */
function describeInspector(facts: BannerFacts, paint: ChalkInstance): [string, string][] {
  const url = inspectUrl(facts);
  return url === undefined || facts.isInspecting !== true ? [] : [['inspect', paint.bold(url)]];
}

function inspectUrl(facts: Pick<BannerFacts, 'host' | 'port' | 'inspectToken'>): string | undefined {
  return facts.inspectToken === undefined
    ? undefined
    : inspectLink(baseUrl({ ...facts, mountPath: '' }), facts.inspectToken);
}

/** The page of the proxy at this URL, its token in the fragment, which no server and no log sees. */
export function inspectLink(url: string, token: string): string {
  return `${new URL(url).origin}/inspect/#t=${token}`;
}

function describeTls(facts: BannerFacts, paint: ChalkInstance): [string, string][] {
  if (facts.tls === undefined) return [];
  const { caFile } = facts.tls;
  const trust = caFile ?? 'the authority of --tls-cert, which clients have to know (`bedrock-proxy env --tls`)';
  return [
    ['with tls', paint.bold(baseUrl(facts, 'https'))],
    ['to trust', trust],
  ];
}

/**
 * The owner's API key, for example `Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), for another 42 min`, and `beside`: what
 * signs the operations for which AWS takes no API key. Undefined: nothing does.
 */
export function describeApiKey(expiresAtMs: number | undefined, beside: string | undefined, nowMs: number): string {
  const description = 'Bedrock API key (AWS_BEARER_TOKEN_BEDROCK)';
  const isExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
  const key = isExpired ? `${description}, expired` : describeCredentials({ description, expiresAtMs }, nowMs);
  return beside === undefined
    ? `${key}; no AWS credentials, so agents, data automation and AgentCore are refused`
    : `${key}; beside it, for what takes no API key: ${beside}`;
}

function describeAccess(access: BannerFacts['access']): string {
  switch (access) {
    case 'open':
      return 'not required: anybody on this machine may call (`bedrock-proxy key generate` changes that)';
    case 'keys':
      return 'required (`bedrock-proxy key list`)';
    case 'master':
      return 'required: the master key or a virtual key';
    default:
      return access satisfies never;
  }
}
