/**
 * How a request is authorized at AWS: signed with the owner's credentials, with the owner's Bedrock API key, or, for an
 * AgentCore runtime that asks for OAuth, with the token that the caller brought.
 */
import { ProxyError } from '../../lib/errors.ts';
import type { HeaderPair } from '../../http/message.ts';
import type { BedrockApiKey } from './api-key.ts';
import type { CredentialSource } from './credentials.ts';
import { type AwsCredentials, signRequest, type UnsignedRequest } from './sign.ts';

/** What the owner has. */
export interface UpstreamAuthority {
  readonly credentials: CredentialSource;
  readonly apiKey: BedrockApiKey | undefined;
}

/** A request that is ready but for its authorization, and what decides which one it gets. */
export interface UnauthorizedRequest extends Omit<UnsignedRequest, 'credentials'> {
  readonly operation: string | undefined;
  /** Whether AWS takes Bedrock API keys for this. */
  readonly bearerKeys: boolean;
  /** The caller's own OAuth token, as an `Authorization` value; see `PresentedCredential`. */
  readonly oauthAuthorization: string | undefined;
}

/** Headers to send, `host` first and `authorization` among the last. */
export interface AuthorizedHeaders {
  readonly headers: readonly HeaderPair[];
  /** The credentials that signed; they sign every frame of an event stream too. Undefined if a token was sent. */
  readonly credentials: AwsCredentials | undefined;
}

/**
 * Decides and signs. Throws what the credential source throws; ERR_AWS_CREDENTIALS if the API key says that it has
 * expired (no other identity replaces it unasked); ERR_API_KEY_REFUSED if the owner has nothing but an API key, and AWS
 * does not take one for this.
 */
export async function authorizeRequest(
  request: UnauthorizedRequest,
  { credentials, apiKey }: UpstreamAuthority,
): Promise<AuthorizedHeaders> {
  if (request.oauthAuthorization !== undefined) return bear(request, request.oauthAuthorization);
  if (apiKey !== undefined && request.bearerKeys) {
    refuseExpired(apiKey, request.signingDate);
    return bear(request, `Bearer ${apiKey.token}`);
  }
  try {
    const signing = await credentials.get();
    return { headers: await signRequest({ ...request, credentials: signing }), credentials: signing };
  } catch (error) {
    const hasNone = error instanceof ProxyError && error.code === 'ERR_NO_AWS_CREDENTIALS';
    throw hasNone && apiKey !== undefined ? refusedApiKey(request.operation, error) : error;
  }
}

function bear({ host, headers }: UnauthorizedRequest, authorization: string): AuthorizedHeaders {
  return { headers: [['host', host], ...headers, ['authorization', authorization]], credentials: undefined };
}

function refuseExpired({ expiresAtMs }: BedrockApiKey, now: Date): void {
  if (expiresAtMs === undefined || now.getTime() < expiresAtMs) return;
  throw expiredApiKey(expiresAtMs);
}

/** That the owner's API key has expired, and what to do. */
export function expiredApiKey(expiresAtMs: number): ProxyError {
  const at = new Date(expiresAtMs).toISOString();
  return new ProxyError('ERR_AWS_CREDENTIALS', `The Amazon Bedrock API key of the proxy expired at ${at}.`, {
    hint:
      'On the machine that runs the proxy, put a new one into AWS_BEARER_TOKEN_BEDROCK, or unset it to ' +
      'sign with AWS credentials, and start the proxy again.',
  });
}

function refusedApiKey(operation: string | undefined, cause: ProxyError): ProxyError {
  return new ProxyError(
    'ERR_API_KEY_REFUSED',
    `AWS does not take Amazon Bedrock API keys for ${operation ?? 'this operation'}, and the proxy has nothing else.`,
    {
      hint:
        'API keys work for bedrock and bedrock-runtime, but not for bidirectional streams, agents, data ' +
        'automation and AgentCore: give the proxy AWS credentials as well.',
      cause,
    },
  );
}
