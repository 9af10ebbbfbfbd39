/**
 * AssumeRole, once: asks AWS STS for the credentials of a role session. The request is the AWS SDK's; it goes out
 * through our own connections, so that the proxy of a corporate network and its certificate authorities hold for it
 * too. Keeps nothing. What STS says stays here: its words name accounts and users, and are for the owner's log alone.
 */
import type { HttpRequest } from '@smithy/core/protocols';
import { ProxyError } from '../../lib/errors.ts';
import type { SessionTags } from '../../domain/role.ts';
import type { HeaderPair } from '../../http/message.ts';
import type { ProvidedCredentials } from './credentials.ts';
import type { Forwarder } from './forward.ts';
import type { AwsCredentials } from './sign.ts';

/** What is asked of STS. */
export interface RoleSession {
  readonly roleArn: string;
  readonly externalId: string | undefined;
  /** Undefined: an hour, which is AWS's own default. */
  readonly durationSeconds: number | undefined;
  /** Whose STS is asked. */
  readonly region: string;
  readonly sessionName: string;
  readonly tags: SessionTags;
}

/**
 * Asks STS in the name of `credentials`. Throws ERR_ROLE_REFUSED if AWS refuses; ERR_AWS_CREDENTIALS if STS cannot be
 * reached, fails or is not understood; BaseRefused if it is the credentials that AWS refuses.
 */
export type AssumeRole = (session: RoleSession, credentials: AwsCredentials) => Promise<ProvidedCredentials>;

/** The credentials with which a role was to be assumed are no longer good; others may be. */
export class BaseRefused extends Error {
  override readonly name = 'BaseRefused';
  /** AWS says that their time is over. */
  readonly haveExpired: boolean;

  constructor(haveExpired: boolean, cause: unknown) {
    super('AWS STS refuses the credentials that were to assume a role.', { cause });
    this.haveExpired = haveExpired;
  }
}

/** How STS is reached. */
export interface RoleAssumerOptions {
  readonly forwarder: Pick<Forwarder, 'fetchWhole'>;
  readonly fips: boolean;
  /** By which the credentials that STS gives are judged. */
  readonly nowMs: () => number;
}

const MAX_RESPONSE_BYTES = 64 * 1024;
const TIMEOUT_MS = 5_000;
/** With the pauses between them, well below what a client waits for a response. */
const MAX_ATTEMPTS = 3;

/** Loads the SDK's client with the first role. */
export function createRoleAssumer({ forwarder, fips, nowMs }: RoleAssumerOptions): AssumeRole {
  return async (session, credentials) => {
    const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/nested-clients/sts');
    const { roleArn, sessionName, externalId, durationSeconds, region, tags } = session;
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const client = new STSClient({
      region,
      credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
      maxAttempts: MAX_ATTEMPTS,
      useFipsEndpoint: fips,
      requestHandler: { handle: (request: HttpRequest) => fetchFromSts(request, forwarder) },
    });
    const command = new AssumeRoleCommand({
      RoleArn: roleArn,
      RoleSessionName: sessionName,
      ExternalId: externalId,
      DurationSeconds: durationSeconds,
      ...(tags.length === 0 ? {} : { Tags: tags.map(([Key, Value]) => ({ Key, Value })) }),
    });
    const response = await client.send(command).catch((thrown: unknown) => {
      throw toRoleError(thrown, session);
    });
    return readCredentials(response, session, nowMs());
  };
}

interface Given {
  readonly Credentials?:
    | {
        readonly AccessKeyId?: string | undefined;
        readonly SecretAccessKey?: string | undefined;
        readonly SessionToken?: string | undefined;
        readonly Expiration?: Date | undefined;
      }
    | undefined;
}

function readCredentials({ Credentials: given }: Given, { roleArn }: RoleSession, nowMs: number): ProvidedCredentials {
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = given ?? {};
  const expiration = given?.Expiration;
  if (!accessKeyId || !secretAccessKey || !sessionToken || !expiration || Number.isNaN(expiration.getTime())) {
    throw stsFails(roleArn, 'a response without credentials');
  }
  if (expiration.getTime() <= nowMs) {
    throw new ProxyError('ERR_AWS_CREDENTIALS', 'The credentials that AWS STS gave for the role have ended already.', {
      hint: 'On the machine that runs the proxy, set the clock.',
      detail: `${roleArn}: until ${expiration.toISOString()}`,
    });
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration };
}

/** The handler of the SDK's client. A connection that fails is an error that the SDK tries again. */
async function fetchFromSts(request: HttpRequest, forwarder: Pick<Forwarder, 'fetchWhole'>) {
  const { protocol, hostname, port, path, method } = request;
  const origin = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`;
  const headers: HeaderPair[] = Object.entries(request.headers);
  const body = typeof request.body === 'string' ? request.body : '';
  const limits = { maxBytes: MAX_RESPONSE_BYTES, signal: AbortSignal.timeout(TIMEOUT_MS) };
  const sent = forwarder.fetchWhole({ method, origin, target: path, headers, body }, limits);
  const response = await sent.catch((thrown: unknown) => {
    if (thrown instanceof ProxyError && thrown.fault === 'upstream') {
      throw Object.assign(new Error(thrown.detail ?? thrown.message, { cause: thrown }), { name: 'TimeoutError' });
    }
    throw thrown;
  });
  const pairs = response.headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    response: { statusCode: response.status, headers: Object.fromEntries(pairs), body: response.body },
  };
}

/** Whom AWS does not know or no longer takes; it says so before it looks at the role. */
const BASE_REFUSED =
  /^(?:ExpiredToken|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidAccessKeyId)/;

function toRoleError(thrown: unknown, { roleArn, tags }: RoleSession): Error {
  if (thrown instanceof ProxyError) return thrown;
  const { name = 'Error', message = '' } = thrown instanceof Error ? thrown : {};
  if (BASE_REFUSED.test(name)) return new BaseRefused(name.startsWith('ExpiredToken'), thrown);
  const status = findStatus(thrown);
  const detail = `${roleArn}: ${name}: ${message}`;
  const isThrottled = /Throttl|TooManyRequests|RequestLimitExceeded/.test(name);
  if (status === undefined || status < 400 || status >= 500 || status === 408 || status === 429 || isThrottled) {
    return stsFails(roleArn, `${name}: ${message}`, thrown);
  }
  const permissions = tags.length === 0 ? 'sts:AssumeRole' : 'sts:AssumeRole and sts:TagSession';
  return new ProxyError('ERR_ROLE_REFUSED', 'AWS does not let the proxy assume the role that signs this request.', {
    hint:
      `On the machine that runs the proxy, see what its log says of it: the trust policy of the role must allow ` +
      `${permissions} to the credentials of the proxy, with its external id, without MFA, and for this duration.`,
    detail,
    cause: thrown,
  });
}

function stsFails(roleArn: string, problem: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_AWS_CREDENTIALS', 'The proxy gets no credentials for the role from AWS STS.', {
    hint: 'STS failed or cannot be reached; a later request asks it again. The log of the proxy has the details.',
    detail: `${roleArn}: ${problem}`,
    cause,
  });
}

/** Of a response of STS; undefined if there was none that could be read. */
function findStatus(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('$metadata' in thrown)) return undefined;
  const { $metadata: metadata } = thrown;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
