/**
 * Asks AWS which models stand behind an application inference profile, whose name does not say: GetInferenceProfile
 * with the owner's credentials, once per profile and time.
 */
import type { MonotonicClock } from '../../lib/clock.ts';
import type { FindProfileModels } from '../../admission/models.ts';
import { within } from '../../lib/deadline.ts';
import { FairQuota } from '../../lib/fair-quota.ts';
import type { Principal } from '../../domain/principal.ts';
import { EMPTY_SHA256 } from '../../http/body.ts';
import { authorizeRequest, type UpstreamAuthority } from './authorize.ts';
import type { Forwarder } from './forward.ts';
import { signerOf } from './identities.ts';
import type { SigningClock } from './signing-clock.ts';

/** Where the control plane of a region is, and how requests to it are signed. */
export interface ControlPlane {
  readonly origin: string;
  readonly host: string;
  readonly pathPrefix: string;
  readonly signingName: string;
  /** Whether the owner's Bedrock API key may be shown there. */
  readonly bearerKeys: boolean;
}

/** What the look-up asks, and with which authority. */
export interface ProfileLookupOptions {
  readonly authorityOf: (principal: Principal) => UpstreamAuthority;
  readonly forwarder: Forwarder;
  /** Throws if the region has none. */
  readonly findControlPlane: (region: string) => ControlPlane;
  readonly tickMs: MonotonicClock;
  readonly clock: Pick<SigningClock, 'nowMs'>;
}

/** The look-ups of one who shares them with others. */
export type ProfileLookup = (principal: Principal) => FindProfileModels;

/** What a profile leads to does not change as long as it exists. */
const KNOWN_FOR_MS = 3_600_000;
/** A permission that was missing may be given, a profile made, a network come back. */
const UNKNOWN_FOR_MS = 30_000;
const MAX_PROFILES = 1_000;
/**
 * Names come from clients: so many new ones are looked up in a minute, and at once, shared by those who ask: one that
 * makes names up leaves half of it to the others.
 */
const MAX_NEW_PER_MINUTE = 60;
const MAX_UNDER_WAY = 8;
const TIMEOUT_MS = 5_000;
const MAX_RESPONSE_BYTES = 256 * 1024;

interface Lookup {
  readonly models: Promise<readonly string[] | undefined>;
  untilTick: number;
}

/**
 * Remembers what AWS said, also that it said nothing, and asks once for callers at the same time. What a profile led to
 * counts on if AWS cannot be asked again, or does not say: it leads there as long as it exists.
 */
export function createProfileLookup(options: ProfileLookupOptions): ProfileLookup {
  const known = new Map<string, Lookup>();
  /** Apart, so that made-up names cannot drive out what is known. */
  const unknown = new Map<string, Lookup>();
  const underWay = new FairQuota(MAX_UNDER_WAY);
  const mayAsk = createAskLimit(options.tickMs, underWay);
  return (principal) => (identifier, region) => {
    const { id: askedBy, identity } = signerOf(principal);
    // What one account does not show another one may.
    const asWhom = identity === undefined ? '' : `${JSON.stringify(identity)} `;
    const name = `${asWhom}${region} ${identifier}`;
    const before = known.get(name) ?? unknown.get(name);
    if (before !== undefined && options.tickMs() < before.untilTick) return before.models;
    if (!mayAsk(askedBy)) return before?.models ?? Promise.resolve(undefined);
    const response: Lookup = { models: ask(), untilTick: Number.POSITIVE_INFINITY };
    async function ask(): Promise<readonly string[] | undefined> {
      // Its credentials may have to be looked up first, and that may hang.
      const found = await within(TIMEOUT_MS, askAws(identifier, region, principal, options)).catch(() => undefined);
      underWay.add(askedBy, -1);
      const models = found ?? (await before?.models);
      response.untilTick = options.tickMs() + (found === undefined ? UNKNOWN_FOR_MS : KNOWN_FOR_MS);
      if (models === undefined && known.get(name) === response) {
        known.delete(name);
        remember(unknown, name, response);
      }
      return models;
    }
    unknown.delete(name);
    remember(known, name, response);
    return response.models;
  };
}

/** As the last one; those that were remembered first are forgotten. */
function remember(lookups: Map<string, Lookup>, name: string, lookup: Lookup): void {
  lookups.delete(name);
  lookups.set(name, lookup);
  for (const oldest of lookups.keys()) {
    if (lookups.size <= MAX_PROFILES) return;
    lookups.delete(oldest);
  }
}

/** Counts by the minute of the clock, and takes one of those under way. */
function createAskLimit(tickMs: MonotonicClock, underWay: FairQuota): (askedBy: string) => boolean {
  let minute = 0;
  let asked = new FairQuota(MAX_NEW_PER_MINUTE);
  return (askedBy) => {
    const now = Math.floor(tickMs() / 60_000);
    if (now !== minute) asked = new FairQuota(MAX_NEW_PER_MINUTE);
    minute = now;
    return underWay.hasRoom(askedBy, 1) && asked.take(askedBy, 1) && underWay.take(askedBy, 1);
  };
}

async function askAws(
  identifier: string,
  region: string,
  principal: Principal,
  { authorityOf, forwarder, findControlPlane, clock }: ProfileLookupOptions,
): Promise<readonly string[] | undefined> {
  const { origin, host, pathPrefix, signingName, bearerKeys } = findControlPlane(region);
  const path = `${pathPrefix}/inference-profiles/${encodeURIComponent(identifier)}`;
  const { headers } = await authorizeRequest(
    {
      method: 'GET',
      host,
      target: { path, query: undefined },
      region,
      signingName,
      operation: 'GetInferenceProfile',
      bearerKeys,
      headers: [
        ['accept', 'application/json'],
        ['accept-encoding', 'identity'],
      ],
      bodySha256: EMPTY_SHA256,
      oauthAuthorization: undefined,
      signingDate: new Date(clock.nowMs()),
    },
    authorityOf(principal),
  );
  const limits = { maxBytes: MAX_RESPONSE_BYTES, signal: AbortSignal.timeout(TIMEOUT_MS) };
  const response = await forwarder.fetchWhole({ method: 'GET', origin, target: path, headers }, limits);
  return response.status === 200 ? parseModels(response.body.toString('utf8')) : undefined;
}

/** `{"models": [{"modelArn": …}]}`; undefined if the response is of another shape or names none. */
function parseModels(text: string): readonly string[] | undefined {
  const response: unknown = JSON.parse(text);
  if (typeof response !== 'object' || response === null || !('models' in response) || !Array.isArray(response.models))
    return undefined;
  const arns = response.models.map((model: unknown) =>
    typeof model === 'object' && model !== null && 'modelArn' in model ? model.modelArn : undefined,
  );
  const isComplete = arns.length > 0 && arns.every((arn) => typeof arn === 'string');
  return isComplete ? arns : undefined;
}
