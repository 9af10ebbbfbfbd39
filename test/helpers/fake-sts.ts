/**
 * The Security Token Service of the fake AWS: `AssumeRole` and `GetCallerIdentity` in AWS's query protocol, with AWS's
 * own checks of names, tags and durations, and faults that a test scripts. What it hands out, the regions accept.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { FakeSigner, UpstreamRequest } from './fake-upstream.ts';

/** Who signs: an owner's pair, or a session of a role. */
export interface FakeCaller extends FakeSigner {
  readonly accessKeyId: string;
  /** Twelve digits. */
  readonly account: string;
  readonly arn: string;
  /** Of a session only. */
  readonly session?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** A role that may be assumed. */
export interface FakeRole {
  readonly arn: string;
  /** Asked for, if it is given. */
  readonly externalId?: string;
  /** Longest session; default one hour, as at AWS. */
  readonly maxDurationSeconds?: number;
  /** Its trust policy lacks `sts:TagSession`: tags are refused. */
  readonly refusesTags?: boolean;
}

/** What a call of `AssumeRole` asked for. */
export interface StsCall {
  readonly action: string;
  readonly roleArn: string;
  readonly session: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly externalId: string | undefined;
  readonly durationSeconds: number | undefined;
  /** Whose credentials it was signed with. */
  readonly callerArn: string;
  /** Of the credential scope. */
  readonly region: string;
  readonly host: string | undefined;
}

/** What becomes of a call instead of its response. */
export type StsFault = (respond: () => void, response: ServerResponse) => void;

/** Faults, by what they look like. */
export const STS_FAULTS = {
  'an error of its own': (_, response) =>
    send(response, 500, '<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>'),
  throttled: (_, response) => sendError(response, 400, 'Throttling', 'Rate exceeded'),
  denied: (_, response) => sendError(response, 403, 'AccessDenied', 'is not authorized to perform: sts:AssumeRole'),
  'expired credentials': (_, response) => sendError(response, 403, 'ExpiredToken', 'The security token is expired'),
  'a disabled region': (_, response) =>
    sendError(response, 403, 'RegionDisabledException', 'STS is not activated in this region'),
  'no XML': (_, response) => send(response, 200, '{"credentials": nothing'),
  'a page of a proxy': (_, response) => send(response, 200, '<html><body>Sign in</body></html>'),
  'XML without credentials': (_, response) =>
    send(response, 200, '<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>'),
  'half a response': (_, response) =>
    send(response, 200, '<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA'),
  'a reset': (_, response) => void response.socket?.resetAndDestroy(),
  silence: () => {},
} as const satisfies Record<string, StsFault>;

/** The response comes after so long. */
export function stsAfter(delayMs: number): StsFault {
  return (respond) => void setTimeout(respond, delayMs);
}

/** What STS knows, and where it puts the sessions that it hands out. */
export interface FakeStsParts {
  readonly roles: readonly FakeRole[];
  readonly findCaller: (accessKeyId: string) => FakeCaller | undefined;
  readonly addCaller: (caller: FakeCaller) => void;
  readonly nowMs: () => number;
}

/** Refused, in AWS's words. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Responds to a request that was signed right; `lifetimeMs` replaces the duration that was asked for. */
export function respondAsSts(
  request: UpstreamRequest,
  response: ServerResponse,
  { parts, lifetimeMs }: { readonly parts: FakeStsParts; readonly lifetimeMs: number | undefined },
): void {
  const asJson = /\bjson\b/.test(request.header('accept') ?? '');
  const form = readForm(request);
  const caller = parts.findCaller(request.signature?.accessKeyId ?? '');
  try {
    if (caller === undefined) throw new Refusal(403, 'InvalidClientTokenId', 'The security token is invalid.');
    const action = form.get('Action') ?? '';
    if (action === 'GetCallerIdentity') {
      const { arn, account } = caller;
      return sendResult(response, action, { Arn: arn, UserId: 'AIDAEXAMPLE', Account: account }, asJson);
    }
    if (action !== 'AssumeRole') throw new Refusal(400, 'InvalidAction', `There is no action ${action}.`);
    sendResult(response, action, assumeRole(form, { caller, parts, lifetimeMs }), asJson);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    sendError(response, thrown.status, thrown.code, thrown.message);
  }
}

/** What is asked for, for a test to look at. */
export function describeStsCall(request: UpstreamRequest, caller: FakeCaller | undefined): StsCall {
  const form = readForm(request);
  const duration = form.get('DurationSeconds');
  return {
    action: form.get('Action') ?? '',
    roleArn: form.get('RoleArn') ?? '',
    session: form.get('RoleSessionName') ?? '',
    tags: Object.fromEntries(readTags(form)),
    externalId: form.get('ExternalId') ?? undefined,
    durationSeconds: duration === null ? undefined : Number(duration),
    callerArn: caller?.arn ?? '',
    region: request.signature?.scope.region ?? '',
    host: request.header('host'),
  };
}

function readForm({ body, rawTarget }: UpstreamRequest): URLSearchParams {
  return new URLSearchParams(body.length > 0 ? body.toString() : rawTarget.replace(/^[^?]*\??/, ''));
}

function readTags(form: URLSearchParams): [string, string][] {
  const tags: [string, string][] = [];
  for (let index = 1; form.has(`Tags.member.${index}.Key`); index += 1) {
    tags.push([form.get(`Tags.member.${index}.Key`) ?? '', form.get(`Tags.member.${index}.Value`) ?? '']);
  }
  return tags;
}

interface Assuming {
  readonly caller: FakeCaller;
  readonly parts: FakeStsParts;
  readonly lifetimeMs: number | undefined;
}

function assumeRole(form: URLSearchParams, { caller, parts, lifetimeMs }: Assuming): object {
  const arn = form.get('RoleArn') ?? '';
  const role = parts.roles.find((each) => each.arn === arn);
  const session = form.get('RoleSessionName') ?? '';
  const tags = readTags(form);
  if (!/^[\w+=,.@-]{2,64}$/.test(session)) throw invalid('roleSessionName', String.raw`[\w+=,.@-]{2,64}`);
  checkTags(tags);
  const seconds = Number(form.get('DurationSeconds') ?? 3600);
  const isChained = caller.session !== undefined;
  const longest = isChained ? 3600 : (role?.maxDurationSeconds ?? 3600);
  if (!(seconds >= 900 && seconds <= 43_200)) throw invalid('durationSeconds', '900 to 43200');
  if (role === undefined || (form.get('ExternalId') ?? undefined) !== role.externalId) {
    throw new Refusal(
      403,
      'AccessDenied',
      `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
    );
  }
  if (tags.length > 0 && role.refusesTags === true) {
    throw new Refusal(
      403,
      'AccessDenied',
      `User: ${caller.arn} is not authorized to perform: sts:TagSession on resource: ${arn}`,
    );
  }
  if (seconds > longest)
    throw new Refusal(
      400,
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    );
  const [, partition = '', account = '', name = ''] =
    /^arn:([\w-]+):iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/.exec(arn) ?? [];
  const expiresAtMs = parts.nowMs() + (lifetimeMs ?? seconds * 1000);
  const made = {
    accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64'),
    sessionToken: `${randomBytes(60).toString('base64')}//+=`,
    expiresAtMs,
    account,
    arn: `arn:${partition}:sts::${account}:assumed-role/${name}/${session}`,
    session,
    tags: { ...(isChained ? caller.tags : {}), ...Object.fromEntries(tags) },
  };
  parts.addCaller(made);
  const Credentials = {
    AccessKeyId: made.accessKeyId,
    SecretAccessKey: made.secretAccessKey,
    SessionToken: made.sessionToken,
    Expiration: new Date(expiresAtMs).toISOString(),
  };
  return {
    AssumedRoleUser: { AssumedRoleId: `AROAEXAMPLE:${session}`, Arn: made.arn },
    Credentials,
    PackedPolicySize: 6,
  };
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html, and the limits of AssumeRole. */
function checkTags(tags: readonly (readonly [string, string])[]): void {
  if (tags.length > 50) throw invalid('tags', 'at most 50');
  const seen = new Set<string>();
  for (const [key, value] of tags) {
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key)) throw invalid('tags.key', '1 to 128 characters');
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)) throw invalid('tags.value', '0 to 256 characters');
    if (/^aws:/i.test(key)) throw invalid('tags.key', 'not aws:');
    if (seen.has(key.toLowerCase())) {
      throw new Refusal(
        400,
        'InvalidParameterValue',
        'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
      );
    }
    seen.add(key.toLowerCase());
  }
}

function invalid(field: string, rule: string): Refusal {
  const message = `1 validation error detected: Value at '${field}' failed to satisfy constraint: ${rule}`;
  return new Refusal(400, 'ValidationError', message);
}

function sendResult(response: ServerResponse, action: string, result: object, asJson: boolean): void {
  const content = {
    [`${action}Response`]: { [`${action}Result`]: result, ResponseMetadata: { RequestId: 'request-1' } },
  };
  if (asJson) send(response, 200, JSON.stringify(content), 'application/json');
  else send(response, 200, toXml(content).replace('>', ' xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'));
}

function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  const Error = { Type: 'Sender', Code: code, Message: message };
  send(response, status, toXml({ ErrorResponse: { Error, RequestId: 'request-1' } }));
}

function send(response: ServerResponse, status: number, text: string, type = 'text/xml'): void {
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, 'x-amzn-requestid': 'request-1' });
  response.end(body);
}

function toXml(content: object): string {
  return Object.entries(content)
    .map(
      ([name, value]) =>
        `<${name}>${typeof value === 'object' ? toXml(value as object) : escape(String(value))}</${name}>`,
    )
    .join('');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
