/**
 * The owner's AWS credentials: the SDK's default chain, or one profile; kept in memory, refreshed before they expire,
 * one look-up at a time. The only file that knows the credential chain. Values go to the signer alone.
 */
import type { MonotonicClock, WallClock } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import { ACCESS_KEY_ID_PREFIX } from '../../keys/secret.ts';
import { quoteForShell } from '../../lib/command-name.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { AwsCredentials } from './sign.ts';

/** What a provider of the AWS SDK returns; `$source` marks which link of the chain it was. */
export interface ProvidedCredentials extends AwsCredentials {
  readonly expiration?: Date | undefined;
  readonly $source?: object | undefined;
}

/** Where credentials come from, for people: never their values. */
export interface CredentialsOrigin {
  /** For example `environment variables` or `profile dev (AWS SSO)`. */
  readonly description: string;
  readonly expiresAtMs: number | undefined;
}

/** The owner's AWS credentials, as often as they are asked for. */
export interface CredentialSource {
  /**
   * Valid credentials. Throws ERR_NO_AWS_CREDENTIALS or ERR_AWS_CREDENTIALS with what to do, also if the look-up has
   * not ended after half a minute.
   */
  get(): Promise<AwsCredentials>;
  /** Looks them up as `get` does, and says where they come from. */
  describe(): Promise<CredentialsOrigin>;
  /**
   * AWS refused these: look again before the next request (a login or a rotated file may have replaced them). False if
   * that was done a moment ago, or if there are others by now: then those stay. `hasExpired`: AWS says that they have.
   */
  invalidate(refused: AwsCredentials, hasExpired?: boolean): boolean;
  /** The next request looks them up anew. */
  forget(): void;
}

/** Where credentials come from, the clock by which they expire, and the one for pauses. */
export interface CredentialSourceOptions {
  readonly profile: string | undefined;
  readonly nowMs: WallClock;
  readonly tickMs: MonotonicClock;
  /** Asks the chain anew; `loadFromChain` in production. */
  readonly load: () => Promise<ProvidedCredentials>;
  /** A look-up is not waited for any longer than this; default: half a minute. */
  readonly timeoutMs?: number | undefined;
}

/** Refresh in the background from here on, and let requests wait only when it gets as close as this. */
const REFRESH_AHEAD_MS = 5 * 60_000;
const MUST_REFRESH_MS = 60_000;
/** Some sources hand out what is about to expire until it has: they are not asked at every request. */
const REFRESH_PAUSE_MS = 30_000;
/** AWS's refusal leads to a new look-up no more often than this. */
const REFUSED_PAUSE_MS = 2_000;
/** Credentials without an expiry (keys in a file, which tools rewrite) are read again after this time. */
const UNDATED_LIFETIME_MS = 5 * 60_000;
/**
 * After a failure the chain is left alone this long, so that a burst of requests does not start a burst of look-ups.
 */
const FAILURE_PAUSE_MS = 1_000;
/** A helper may wait for a person, a keychain or a network; it is not waited for any longer than this. */
const LOOKUP_TIMEOUT_MS = 30_000;
/** So long a request waits for new credentials while the old ones are still valid. */
const PATIENCE_WHILE_VALID_MS = 3_000;
/** Each look-up that hangs may hold a process: the more there are, the rarer new ones. */
const MAX_HUNG_PAUSE_MS = 5 * 60_000;

/** Keeps what `load` gives. */
export function createCredentialSource(options: CredentialSourceOptions): CredentialSource {
  return new KeptCredentials(options);
}

/**
 * State: what was loaded last, the look-up in flight, the last failure.
 *
 * - none: a request waits for the look-up.
 * - fresh, until `#isAgeing`: handed out as they are.
 * - ageing, until `unusableAtMs`: handed out, and looked up in the background.
 * - ending: a request waits for the look-up, for a few seconds; if it fails or hangs, what is still valid is better
 *   than nothing.
 *
 * A look-up that hangs is forgotten, and the next one starts anew. If it ends after all, its credentials are taken,
 * unless there are newer ones.
 */
class KeptCredentials implements CredentialSource {
  readonly #options: CredentialSourceOptions;
  #current: ProvidedCredentials | undefined;
  #unusableAtMs = 0;
  /** Ticks, as is what the failure and the refusal have. */
  #loadedAtTick = 0;
  #refusedAtTick = Number.NEGATIVE_INFINITY;
  #inFlight: Promise<ProvidedCredentials> | undefined;
  #failure: { readonly error: ProxyError; readonly untilTick: number } | undefined;
  #hung = 0;
  #lastStarted = 0;
  #lastLoaded = 0;

  constructor(options: CredentialSourceOptions) {
    this.#options = options;
  }

  async get(): Promise<ProvidedCredentials> {
    const nowMs = this.#options.nowMs();
    const last = this.#current;
    const failure = this.#failure;
    const pause = failure !== undefined && this.#options.tickMs() < failure.untilTick ? failure : undefined;
    if (last !== undefined && nowMs < this.#unusableAtMs) {
      if (pause === undefined && this.#isAgeing(last, nowMs)) this.#refresh().catch(() => {});
      return last;
    }
    const isValid = last !== undefined && nowMs < (last.expiration?.getTime() ?? Number.POSITIVE_INFINITY);
    if (pause === undefined) {
      const refreshing = this.#refresh();
      return isValid ? ((await within(PATIENCE_WHILE_VALID_MS, refreshing).catch(() => last)) ?? last) : refreshing;
    }
    if (isValid) return last;
    throw pause.error;
  }

  async describe(): Promise<CredentialsOrigin> {
    const credentials = await this.get();
    return {
      description: describeSource(credentials, this.#options.profile),
      expiresAtMs: credentials.expiration?.getTime(),
    };
  }

  invalidate(refused: AwsCredentials): boolean {
    if (this.#current !== undefined && !isSamePair(this.#current, refused)) return false;
    const tick = this.#options.tickMs();
    // A role that AWS refuses for good must not cost a look-up per request.
    if (tick - this.#refusedAtTick < REFUSED_PAUSE_MS) return false;
    this.#refusedAtTick = tick;
    this.forget();
    return true;
  }

  forget(): void {
    this.#current = undefined;
    this.#failure = undefined;
  }

  #isAgeing({ expiration }: ProvidedCredentials, nowMs: number): boolean {
    const ageMs = this.#options.tickMs() - this.#loadedAtTick;
    if (expiration === undefined) return ageMs >= UNDATED_LIFETIME_MS;
    return nowMs >= expiration.getTime() - REFRESH_AHEAD_MS && ageMs >= REFRESH_PAUSE_MS;
  }

  /** One look-up at a time. */
  #refresh(): Promise<ProvidedCredentials> {
    this.#inFlight ??= this.#lookUp().finally(() => (this.#inFlight = undefined));
    return this.#inFlight;
  }

  async #lookUp(): Promise<ProvidedCredentials> {
    const { tickMs, profile, timeoutMs = LOOKUP_TIMEOUT_MS } = this.#options;
    const loading = this.#load();
    try {
      const loaded = await within(timeoutMs, loading);
      if (loaded !== undefined) return loaded;
    } catch (thrown) {
      const error = toCredentialError(thrown, profile);
      this.#failure = { error, untilTick: tickMs() + FAILURE_PAUSE_MS };
      throw error;
    }
    this.#hung += 1;
    const ended = (): void => void (this.#hung -= 1);
    loading.then(ended, ended);
    const error = lookupHangs(profile, timeoutMs);
    this.#failure = { error, untilTick: tickMs() + Math.min(FAILURE_PAUSE_MS * 2 ** this.#hung, MAX_HUNG_PAUSE_MS) };
    throw error;
  }

  async #load(): Promise<ProvidedCredentials> {
    const { load, tickMs } = this.#options;
    const started = (this.#lastStarted += 1);
    const loaded = await load();
    refuseVirtualKey(loaded, this.#options.profile);
    if (started < this.#lastLoaded) return loaded;
    const expiresAtMs = loaded.expiration?.getTime();
    this.#lastLoaded = started;
    this.#current = loaded;
    this.#failure = undefined;
    this.#loadedAtTick = tickMs();
    this.#unusableAtMs = expiresAtMs === undefined ? Number.POSITIVE_INFINITY : expiresAtMs - MUST_REFRESH_MS;
    return loaded;
  }
}

/**
 * Asks the AWS SDK's chain. With a profile, that profile and nothing else, so that a mistyped name is an error and does
 * not find other credentials. Files are read anew each time. `region` is for the STS and SSO calls that profiles may
 * need.
 */
export async function loadFromChain(
  profile: string | undefined,
  region: string | undefined,
  warn: (message: string) => void,
): Promise<ProvidedCredentials> {
  const init = {
    ignoreCache: true,
    logger: { debug: () => {}, info: () => {}, trace: () => {}, warn, error: warn },
    // As the parent's and not the client's own: a profile's `region` and `sso_region` come first.
    ...(region === undefined ? {} : { parentClientConfig: { region } }),
  };
  if (profile !== undefined) {
    const { fromIni } = await import('@aws-sdk/credential-provider-ini');
    return fromIni({ ...init, profile })();
  }
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider(init)();
}

/** The region that a profile names in the shared AWS files; undefined if it names none or the files cannot be read. */
export async function loadProfileRegion(profile: string | undefined): Promise<string | undefined> {
  const { loadSharedConfigFiles } = await import('@smithy/core/config');
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true }).catch(() => ({
    configFile: {} as Record<string, Record<string, string | undefined>>,
    credentialsFile: {} as Record<string, Record<string, string | undefined>>,
  }));
  const name = profile ?? 'default';
  return configFile[name]?.['region'] ?? credentialsFile[name]?.['region'];
}

/** The names of the profiles in the shared AWS files; undefined if they cannot be read. */
export async function loadProfileNames(): Promise<readonly string[] | undefined> {
  const { parseKnownFiles } = await import('@smithy/core/config');
  const profiles = await parseKnownFiles({ ignoreCache: true }).catch(() => undefined);
  return profiles && Object.keys(profiles).filter(isProfileName);
}

/** False for the other sections of the shared files, which the SDK reads with them. */
export function isProfileName(section: string): boolean {
  return !/^(sso-session|services)\./.test(section);
}

/** What `aws sso login` left behind for a profile. */
export interface SsoLogin {
  /** Undefined if there is no login. */
  readonly expiresAtMs: number | undefined;
  /** It can be renewed without a browser. */
  readonly isRenewable: boolean;
}

/** The login of a profile's SSO session, from the cache file of the AWS CLI; undefined for a profile without SSO. */
export async function loadSsoLogin(profile: string | undefined): Promise<SsoLogin | undefined> {
  const { getSSOTokenFromFile, parseKnownFiles } = await import('@smithy/core/config');
  const profiles = await parseKnownFiles({ ignoreCache: true }).catch(() => ({}) as Record<string, undefined>);
  const settings: Record<string, string | undefined> = profiles[profile ?? 'default'] ?? {};
  const session = settings['sso_session'] ?? settings['sso_start_url'];
  if (session === undefined) return undefined;
  const token = await getSSOTokenFromFile(session).catch(() => undefined);
  const expiresAtMs = Date.parse(token?.expiresAt ?? '');
  const isRenewable = typeof token?.refreshToken === 'string';
  return { expiresAtMs: Number.isNaN(expiresAtMs) ? undefined : expiresAtMs, isRenewable };
}

/** The marks that the SDK's providers leave in `$source`, most specific first. */
const SOURCES: readonly (readonly [mark: string, words: string])[] = [
  ['CREDENTIALS_PROFILE_SSO', 'AWS SSO'],
  ['CREDENTIALS_PROFILE_SSO_LEGACY', 'AWS SSO'],
  ['CREDENTIALS_PROFILE_LOGIN', 'aws login'],
  ['CREDENTIALS_PROFILE_PROCESS', 'credential_process'],
  ['CREDENTIALS_PROFILE_STS_WEB_ID_TOKEN', 'web identity'],
  ['CREDENTIALS_PROFILE_SOURCE_PROFILE', 'assumed role'],
  ['CREDENTIALS_PROFILE_NAMED_PROVIDER', 'assumed role'],
  ['CREDENTIALS_PROFILE', 'access keys in the shared AWS files'],
  ['CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN', 'web identity token file'],
  ['CREDENTIALS_ENV_VARS', 'environment variables'],
  ['CREDENTIALS_SSO', 'AWS SSO'],
  ['CREDENTIALS_HTTP', 'container credentials'],
  ['CREDENTIALS_IMDS', 'instance metadata'],
  ['CREDENTIALS_PROCESS', 'credential_process'],
];

function describeSource(credentials: ProvidedCredentials, profile: string | undefined): string {
  const marks = credentials.$source ?? {};
  const words = SOURCES.find(([mark]) => mark in marks)?.[1];
  if (profile === undefined) return words ?? 'the default credential chain';
  return words === undefined ? `profile ${profile}` : `profile ${profile} (${words})`;
}

/** `env`, `exec` and `credential-process` hand out keys of ours in every form in which the chain finds credentials. */
function refuseVirtualKey(credentials: ProvidedCredentials, profile: string | undefined): void {
  if (!credentials.accessKeyId.startsWith(ACCESS_KEY_ID_PREFIX)) return;
  throw virtualCredentials(describeSource(credentials, profile));
}

/** That what was found there is a key of a proxy and none of AWS, and what to do. */
export function virtualCredentials(where: string): ProxyError {
  return new ProxyError(
    'ERR_NO_AWS_CREDENTIALS',
    `The AWS credentials that the proxy finds (${where}) are a virtual key, which is for clients of a proxy.`,
    {
      hint:
        'The proxy needs your own AWS credentials: start it from a shell without `bedrock-proxy env`, or name a ' +
        '--profile.',
    },
  );
}

function toCredentialError(error: unknown, profile: string | undefined): ProxyError {
  if (error instanceof ProxyError) return error;
  const message = error instanceof Error ? error.message : '';
  // What a credential_process wrote has several lines.
  const details = { detail: message.trim().replaceAll(/\s*\n\s*/g, '; '), cause: error };
  if (/multi-factor authentication/i.test(message)) return needsMfa(profile, details);
  const login = findLoginCommand(message);
  if (login !== undefined) {
    const command = profile === undefined ? login : `${login} --profile ${quoteForShell(profile)}`;
    const words = login === 'aws login' ? 'AWS login' : 'AWS SSO login';
    return new ProxyError('ERR_AWS_CREDENTIALS', `The ${words} of the proxy has expired or is missing.`, {
      hint: `On the machine that runs the proxy: ${command}. The next request will work; no restart is needed.`,
      ...details,
    });
  }
  if (UNREACHABLE.test(message)) {
    return new ProxyError('ERR_AWS_CREDENTIALS', 'The proxy cannot reach AWS to get its credentials.', {
      hint: 'On the machine that runs the proxy, check the network, and AWS_ENDPOINT_URL and its like.',
      ...details,
    });
  }
  if (profile !== undefined) {
    return new ProxyError('ERR_NO_AWS_CREDENTIALS', `The proxy finds no AWS credentials in the profile "${profile}".`, {
      hint:
        'On the machine that runs the proxy, check ~/.aws/config and ~/.aws/credentials, or name another ' +
        '--profile.',
      ...details,
    });
  }
  return new ProxyError('ERR_NO_AWS_CREDENTIALS', 'The proxy has no AWS credentials to sign with.', {
    hint:
      'On the machine that runs the proxy: `aws configure`, `aws sso login`, AWS_ACCESS_KEY_ID and ' +
      'AWS_SECRET_ACCESS_KEY, or start with --profile; or try it without an account: --offline.',
    ...details,
  });
}

/** `fromIni` in front of a role with `mfa_serial`. The code would be asked for at every refresh, of nobody. */
function needsMfa(
  profile: string | undefined,
  details: { readonly detail: string; readonly cause: unknown },
): ProxyError {
  const of = profile === undefined ? 'The profile' : `The profile "${profile}"`;
  return new ProxyError(
    'ERR_NO_AWS_CREDENTIALS',
    `${of} asks for an MFA code (mfa_serial), which nobody can give here.`,
    {
      hint:
        'Name a profile without mfa_serial: one of AWS SSO, or one whose keys a tool has got with the code ' +
        '(`aws sts get-session-token`).',
      ...details,
    },
  );
}

function lookupHangs(profile: string | undefined, timeoutMs: number): ProxyError {
  const of = profile === undefined ? '' : ` of the profile "${profile}"`;
  return new ProxyError('ERR_AWS_CREDENTIALS', `The look-up of the AWS credentials${of} has not ended.`, {
    hint:
      'On the machine that runs the proxy, see what it waits for: a credential_process that asks for something, a ' +
      'keychain, a network. The next requests start a new one; no restart is needed.',
    detail: `no result after ${timeoutMs / 1000} s`,
  });
}

/** AWS does not take the credentials with which a role was to be assumed, and there are no others. */
export function refusedRoleBase(cause: Error): ProxyError {
  const { message: detail } = cause.cause instanceof Error ? cause.cause : cause;
  return new ProxyError('ERR_AWS_CREDENTIALS', 'AWS does not take the credentials that are to assume a role.', {
    hint:
      'On the machine that runs the proxy, renew them: they have expired, or are not known to AWS. The next request ' +
      'will work; no restart is needed.',
    detail,
    cause,
  });
}

/** Whether a person could cure it by logging in, or by whatever else gets credentials here. */
export function needsLogin({ code, detail = '' }: ProxyError): boolean {
  return (
    code === 'ERR_NO_AWS_CREDENTIALS' || (code === 'ERR_AWS_CREDENTIALS' && findLoginCommand(detail) !== undefined)
  );
}

/** System errors in the words of the AWS SDK's clients, which hand on the message alone. */
const UNREACHABLE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|TimeoutError)\b/;

/**
 * Which login would help, by the SDK's words: `@aws-sdk/token-providers` and `credential-provider-sso` name `aws sso
 * login`, `credential-provider-login` names `aws login`; UnauthorizedException is the SSO portal's word for a token it
 * took back.
 */
function findLoginCommand(message: string): 'aws sso login' | 'aws login' | undefined {
  if (/aws sso login|UnauthorizedException|sso.*(expired|token)/i.test(message)) return 'aws sso login';
  if (/\baws login\b|reauthenticate/i.test(message)) return 'aws login';
  return undefined;
}

/** Whether two signers are one. */
export function isSamePair(one: AwsCredentials | undefined, other: AwsCredentials): boolean {
  return (
    one?.accessKeyId === other.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
  );
}

/**
 * AWS's error types for keys that are no longer good. Another refusal (a policy, a model) says nothing about the
 * credentials.
 */
export function areCredentialsRefused(status: number, errorType: string | undefined): boolean {
  if (status !== 400 && status !== 401 && status !== 403) return false;
  return /^(ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidSignature)/.test(errorType ?? '');
}

/** Those of them that say that the time of the keys is over; the other ones a client may be able to bring about. */
export function haveCredentialsExpired(errorType: string | undefined): boolean {
  return errorType?.startsWith('ExpiredToken') === true;
}
