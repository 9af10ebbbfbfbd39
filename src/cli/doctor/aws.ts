/**
 * Checks of the owner's side of AWS: region, credentials, SSO login, who they are by STS, and this machine's clock
 * against AWS's. Shows where credentials come from, never what they are; of the account number the last four digits.
 */
import { toProxyError } from '../../lib/errors.ts';
import { formatAge, formatSpan } from '../../lib/format.ts';
import { EMPTY_SHA256 } from '../../http/body.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { findPartition } from '../../protocol/region.ts';
import type { CredentialSource, SsoLogin } from '../../upstream/aws/credentials.ts';
import type { Forwarder } from '../../upstream/aws/forward.ts';
import { type AwsCredentials, signRequest } from '../../upstream/aws/sign.ts';
import { findApiKey } from '../../app/identities.ts';
import { describeCredentials } from '../../app/banner.ts';
import { findExpiry } from '../../app/authority.ts';
import { requireProfile } from '../../app/profiles.ts';
import type { Config } from '../../config/config.ts';
import { type CheckResult, fail, failBy, ok, skip, warn } from './check.ts';

/** AWS refuses signatures that are further off than five minutes (SigV4, request expiry). */
const MAX_SKEW_MS = 5 * 60_000;
const NOTABLE_SKEW_MS = 60_000;
/** STS responds with a few hundred bytes. */
const MAX_RESPONSE_BYTES = 64 * 1024;
const QUERY = 'Action=GetCallerIdentity&Version=2011-06-15';

/** Whether requests that name no region have one. */
export function checkDefaultRegion(
  region: { readonly name: string; readonly origin: string } | undefined,
): CheckResult {
  if (region !== undefined) return ok('region', `${region.name} (${region.origin})`);
  const hint = 'Set --region or AWS_REGION, or `region` in the profile; else every request has to name one.';
  return warn('region', 'none is set', hint);
}

/**
 * With the credentials themselves where there are any, for the checks that follow. A Bedrock API key beside them is
 * enough for the models.
 */
export async function checkCredentials(
  config: Config,
  source: CredentialSource,
  nowMs: number,
): Promise<{ readonly result: CheckResult; readonly credentials: AwsCredentials | undefined }> {
  try {
    await requireProfile(config);
    const origin = await source.describe();
    const expired = findExpiry(origin, nowMs);
    if (expired !== undefined) throw expired;
    const credentials = await source.get();
    return { result: ok('credentials', describeCredentials(origin, nowMs)), credentials };
  } catch (thrown) {
    const failed = failBy('credentials', thrown);
    if (findApiKey(config) === undefined) return { result: failed, credentials: undefined };
    const message = `a Bedrock API key alone, which AWS takes for models only (${failed.message})`;
    return { result: warn('credentials', message, failed.hint ?? ''), credentials: undefined };
  }
}

/** `login` undefined: the profile has no SSO. */
export function checkSsoLogin(login: SsoLogin | undefined, profile: string | undefined, nowMs: number): CheckResult {
  if (login === undefined) return skip('sso-login', 'the profile does not use AWS SSO');
  const command = profile === undefined ? 'aws sso login' : `aws sso login --profile ${profile}`;
  const { expiresAtMs, isRenewable } = login;
  if (expiresAtMs === undefined) return fail('sso-login', 'there is no login', `Run: ${command}`);
  const renews = isRenewable ? '; it renews itself' : '';
  if (expiresAtMs > nowMs) return ok('sso-login', `valid for another ${formatSpan(expiresAtMs - nowMs)}${renews}`);
  const ago = `expired ${formatAge(expiresAtMs, nowMs)}`;
  if (isRenewable) return warn('sso-login', `${ago}, and should renew itself`, `If credentials fail: ${command}`);
  return fail('sso-login', ago, `Run: ${command}. A running proxy takes it up with the next request.`);
}

/** What STS said, or that it could not be asked. */
export interface IdentityResponse {
  readonly result: CheckResult;
  /** AWS's clock minus ours, in milliseconds; undefined where AWS did not answer. */
  readonly skewMs: number | undefined;
}

/** Asks STS who the credentials are. Without credentials an unsigned question still tells network and clock. */
export async function checkIdentity(
  credentials: AwsCredentials | undefined,
  region: string,
  { endpoint, forwarder }: { readonly endpoint: string | undefined; readonly forwarder: Forwarder },
): Promise<IdentityResponse> {
  const suffix = findPartition(region)?.dnsSuffix ?? 'amazonaws.com';
  const url = new URL(endpoint ?? `https://sts.${region}.${suffix}`);
  try {
    const headers: HeaderPair[] = [['accept', 'application/json']];
    const signed =
      credentials === undefined
        ? [['host', url.host] as const, ...headers]
        : await sign(url, region, credentials, headers);
    const { status, body, dateMs, receivedAtMs } = await ask(url, signed, forwarder);
    const skewMs = dateMs === undefined ? undefined : dateMs - receivedAtMs;
    if (credentials === undefined) {
      return { result: skip('identity', 'no credentials to ask with, but AWS can be reached'), skewMs };
    }
    return { result: status === 200 ? describeIdentity(body) : describeRefusal(status, body), skewMs };
  } catch (thrown) {
    const { detail } = toProxyError(thrown);
    const hint = 'Check the network, DNS, and whether a forward proxy or firewall stands between here and AWS.';
    const message = `${url.host} cannot be reached (${detail ?? 'no response'})`;
    return { result: fail('identity', message, hint), skewMs: undefined };
  }
}

/** `skewMs` as in IdentityResponse, or by the date of any other response. */
export function checkClock(skewMs: number | undefined): CheckResult {
  if (skewMs === undefined) return skip('clock', 'AWS did not answer, so there is nothing to compare with');
  const words = `${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs < 0 ? 'ahead of' : 'behind'} AWS`;
  const hint = 'Let the system set its clock by the network (NTP); AWS refuses signatures that are 5 minutes off.';
  if (Math.abs(skewMs) >= MAX_SKEW_MS) return fail('clock', words, hint);
  return Math.abs(skewMs) >= NOTABLE_SKEW_MS ? warn('clock', words, hint) : ok('clock', words);
}

function sign(
  url: URL,
  region: string,
  credentials: AwsCredentials,
  headers: readonly HeaderPair[],
): Promise<HeaderPair[]> {
  return signRequest({
    method: 'GET',
    host: url.host,
    target: { path: '/', query: QUERY },
    headers,
    bodySha256: EMPTY_SHA256,
    credentials,
    region,
    signingName: 'sts',
    signingDate: new Date(),
  });
}

interface StsResponse {
  readonly status: number;
  readonly body: string;
  readonly dateMs: number | undefined;
  readonly receivedAtMs: number;
}

/** The way that every request takes, forward proxy and certificate authorities included. */
async function ask(url: URL, headers: readonly HeaderPair[], forwarder: Forwarder): Promise<StsResponse> {
  const request = { method: 'GET', origin: url.origin, target: `/?${QUERY}`, headers };
  const limits = { maxBytes: MAX_RESPONSE_BYTES, signal: new AbortController().signal };
  const response = await forwarder.fetchWhole(request, limits);
  const dateMs = Date.parse(findHeader(response.headers, 'date') ?? '');
  return {
    status: response.status,
    body: response.body.toString('utf8'),
    dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
    receivedAtMs: Date.now(),
  };
}

/** JSON where STS heeded `accept`, XML where it did not: the two fields stand in both under the same names. */
function readField(body: string, name: string): string | undefined {
  return new RegExp(`"${name}"\\s*:\\s*"([^"]*)"|<${name}>([^<]*)</${name}>`).exec(body)?.slice(1).find(Boolean);
}

function describeIdentity(body: string): CheckResult {
  const account = readField(body, 'Account') ?? '';
  // arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com: the session name is a person's as a rule.
  const resource = (readField(body, 'Arn') ?? '').split(':').slice(5).join(':');
  const who = resource.replace(/^(assumed-role\/[^/]+)\/.*$/s, '$1');
  return ok('identity', `${who === '' ? 'unknown' : who} in account …${account.slice(-4)}`);
}

function describeRefusal(status: number, body: string): CheckResult {
  const code = readField(body, 'Code') ?? `status ${status}`;
  const hints: Readonly<Record<string, string>> = {
    ExpiredToken: 'The credentials have expired: renew them (`aws sso login`, or paste fresh ones).',
    InvalidClientTokenId: 'AWS does not know these credentials: they are mistyped, deleted, or of another partition.',
    SignatureDoesNotMatch: 'The secret access key does not belong to the access key id, or the clock is wrong.',
    RequestExpired: "This machine's clock is wrong.",
    RegionDisabledException: 'STS is switched off in this region for the account; Bedrock may work all the same.',
  };
  return fail(
    'identity',
    `AWS refuses the credentials: ${code}`,
    hints[code] ?? 'See the code in the AWS documentation.',
  );
}
