/**
 * A fake AWS of several regions and accounts: a fake upstream for each region, and one for STS. Each verifies every
 * signature: whose it is, that it is of that region, that its session is not over. A test scripts what a region does,
 * and reads afterwards what CloudTrail and the bill would say.
 */
import { type BedrockCall, type Outcome, readCall, REFUSALS, serve, type FakeUsage } from './fake-bedrock.ts';
import {
  type FakeCaller,
  type FakeRole,
  type StsCall,
  type StsFault,
  describeStsCall,
  respondAsSts,
} from './fake-sts.ts';
import { type FakeUpstream, startFakeUpstream, type UpstreamHandler, type UpstreamRequest } from './fake-upstream.ts';

/** An account with a pair of its own. */
export interface FakeAccount {
  /** Of its profile. */
  readonly name: string;
  readonly id: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** A Bedrock API key of it. */
  readonly apiKey?: string;
}

export const MAIN_ACCOUNT: FakeAccount = {
  name: 'main',
  id: '111111111111',
  accessKeyId: 'AKIAMAIN111111111111',
  secretAccessKey: 'main/EXAMPLEKEY+wJalrXUtnFEMIK7MDENGbPxR',
  apiKey: 'ABSKbWFpbi1hcGkta2V5',
};

export const SECOND_ACCOUNT: FakeAccount = {
  name: 'second',
  id: '222222222222',
  accessKeyId: 'AKIASECOND2222222222',
  secretAccessKey: 'second/EXAMPLEKEY+JalrXUtnFEMIK7MDENGbPx',
  apiKey: 'ABSKc2Vjb25kLWFwaS1rZXk',
};

export interface FakeAwsOptions {
  readonly regions: readonly string[];
  /** Default: both of the above. */
  readonly accounts?: readonly FakeAccount[];
  readonly roles?: readonly FakeRole[];
  readonly nowMs?: () => number;
}

/** A request that reached a region and was signed right, as CloudTrail has it. */
export interface TrailEvent {
  readonly region: string;
  readonly account: string;
  /** Of a user, or of a role's session. */
  readonly callerArn: string;
  readonly session: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly form: string | undefined;
  readonly model: string | undefined;
  readonly request: UpstreamRequest;
}

/** What AWS counts of a request. */
export interface Bill extends FakeUsage {
  readonly region: string;
  readonly account: string;
  readonly model: string | undefined;
}

/** One region. */
export interface FakeRegion {
  readonly name: string;
  /** For `--endpoint-url`, or `endpointUrl` of an upstream. */
  readonly url: string;
  readonly upstream: FakeUpstream;
  /** What came here, of the trail. */
  readonly trail: readonly TrailEvent[];
  /** From now on, what becomes of every request for which there is nothing from `next`. */
  always(outcome: Outcome): void;
  /** What becomes of the requests that come next, one each. */
  next(...outcomes: readonly Outcome[]): void;
}

/** The token service. */
export interface FakeSts {
  /** For AWS_ENDPOINT_URL_STS. */
  readonly url: string;
  readonly upstream: FakeUpstream;
  readonly calls: readonly StsCall[];
  /** What becomes of every call from now on; undefined: it is answered. */
  always(fault: StsFault | undefined): void;
  /** What becomes of the calls that come next, one each. */
  next(...faults: readonly StsFault[]): void;
  /** Sessions from now on live so long, whatever was asked for; undefined: as asked. */
  liveFor(lifetimeMs: number | undefined): void;
}

export interface FakeAws extends AsyncDisposable {
  readonly accounts: readonly FakeAccount[];
  /** Throws for a region that it does not have. */
  region(name: string): FakeRegion;
  /**
   * All regions at one place, for `--endpoint-url`: with `{region}` in its path, where several upstreams share one URL.
   */
  readonly url: string;
  readonly sts: FakeSts;
  /** Every request that was signed right, in order. */
  readonly trail: readonly TrailEvent[];
  readonly bills: readonly Bill[];
  /** Of all regions and of STS: one line per request that was not signed right. */
  readonly failures: readonly string[];
}

/** Tokens of a prefix that is cached. */
export const CACHED_TOKENS = 2_000;

/** Starts it on loopback. */
export async function startFakeAws(options: FakeAwsOptions): Promise<FakeAws> {
  const { accounts = [MAIN_ACCOUNT, SECOND_ACCOUNT], nowMs = Date.now } = options;
  const callers = new Map<string, FakeCaller>();
  for (const { id, accessKeyId, secretAccessKey } of accounts) {
    callers.set(accessKeyId, { accessKeyId, secretAccessKey, account: id, arn: `arn:aws:iam::${id}:user/owner` });
  }
  const findCaller = (accessKeyId: string): FakeCaller | undefined => callers.get(accessKeyId);
  const world: World = { accounts, findCaller, nowMs, trail: [], bills: [], caches: new Set() };
  const regions = await Promise.all(options.regions.map((name) => startRegion(name, world)));
  const front = await startFront(regions, world);
  const addCaller = (caller: FakeCaller): void => void callers.set(caller.accessKeyId, caller);
  const sts = await startSts({ roles: options.roles ?? [], findCaller, addCaller, nowMs });
  return {
    accounts,
    region: (name) => {
      const found = regions.find((region) => region.name === name);
      if (found === undefined) throw new Error(`no such region: ${name}`);
      return found;
    },
    url: `http://${front.authority}/{region}`,
    sts,
    trail: world.trail,
    bills: world.bills,
    get failures() {
      return [front, ...[...regions, sts].map(({ upstream }) => upstream)].flatMap(({ failures }) => failures);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([front, ...[...regions, sts].map(({ upstream }) => upstream)].map((each) => each.close()));
    },
  };
}

interface World {
  readonly accounts: readonly FakeAccount[];
  readonly findCaller: (accessKeyId: string) => FakeCaller | undefined;
  readonly nowMs: () => number;
  readonly trail: TrailEvent[];
  readonly bills: Bill[];
  /** The prefixes that are cached: per account and region, as at AWS. */
  readonly caches: Set<string>;
}

function optionsOf({ findCaller: findSigner, nowMs, accounts }: World) {
  return { findSigner, nowMs, bearerTokens: new Set(accounts.flatMap(({ apiKey }) => apiKey ?? [])) };
}

/** `/us-east-1/model/...` */
const FRONT_TARGET = /^\/([^/]+)(\/.*)$/s;

async function startFront(regions: readonly (FakeRegion & Responder)[], world: World): Promise<FakeUpstream> {
  const upstream = await startFakeUpstream({ ...optionsOf(world), regionOf: (raw) => FRONT_TARGET.exec(raw)?.[1] });
  upstream.respondWith((request, response) => {
    const [, name, rawTarget = ''] = FRONT_TARGET.exec(request.rawTarget) ?? [];
    const region = regions.find((each) => each.name === name);
    if (region === undefined) throw new Error(`no such region: ${name}`);
    return region.respond({ ...request, rawTarget }, response);
  });
  return upstream;
}

interface Responder {
  readonly respond: UpstreamHandler;
}

async function startRegion(name: string, world: World): Promise<FakeRegion & Responder> {
  const upstream = await startFakeUpstream({ ...optionsOf(world), regionOf: () => name });
  const trail: TrailEvent[] = [];
  const script: Outcome[] = [];
  let usual: Outcome = serve;
  const respond: UpstreamHandler = (request, response) => {
    const event = describeEvent(name, request, world);
    trail.push(event);
    world.trail.push(event);
    const outcome = script.shift() ?? usual;
    // AWS knows no model of another geography.
    const isKnown = isServedIn(event.model, name);
    return (isKnown ? outcome : REFUSALS.ValidationException)(openCall(event, world), response);
  };
  upstream.respondWith(respond);
  return {
    name,
    url: `http://${upstream.authority}`,
    upstream,
    trail,
    respond,
    always: (outcome) => {
      usual = outcome;
    },
    next: (...outcomes) => void script.push(...outcomes),
  };
}

function describeEvent(region: string, request: UpstreamRequest, { accounts, findCaller }: World): TrailEvent {
  const caller = findCaller(request.signature?.accessKeyId ?? '');
  const token = /^Bearer (.+)$/i.exec(request.header('authorization') ?? '')?.[1];
  const account = caller?.account ?? accounts.find(({ apiKey }) => apiKey === token)?.id ?? '';
  const { form, model } = readCall(request.rawTarget, request.body);
  const callerArn = caller?.arn ?? `arn:aws:iam::${account}:user/api-key`;
  return { region, account, callerArn, session: caller?.session, tags: caller?.tags ?? {}, form, model, request };
}

function openCall({ region, account, request }: TrailEvent, { bills, caches }: World): BedrockCall {
  const { cacheKey, usage: bare, ...call } = readCall(request.rawTarget, request.body);
  const place = `${account} ${region} ${cacheKey}`;
  const isWarm = caches.has(place);
  const cached = isWarm ? { cacheReadInputTokens: CACHED_TOKENS } : { cacheWriteInputTokens: CACHED_TOKENS };
  const usage = cacheKey === undefined ? bare : { ...bare, ...cached };
  let isBilled = false;
  const bill = (): void => {
    if (isBilled) return;
    isBilled = true;
    if (cacheKey !== undefined) caches.add(place);
    if (call.form !== undefined && call.form !== 'count-tokens')
      bills.push({ region, account, model: call.model, ...usage });
  };
  return { ...call, usage, text: `Hello from ${region} of ${account}`, bill };
}

const GEOGRAPHIES: Readonly<Record<string, RegExp>> = { us: /^(?:us|ca)-/, eu: /^eu-/, apac: /^ap-/ };

/** An inference profile of a geography is served in its regions only. */
function isServedIn(model: string | undefined, region: string): boolean {
  const [, geography = ''] = /^(us|eu|apac)\./.exec(model ?? '') ?? [];
  return GEOGRAPHIES[geography]?.test(region) ?? true;
}

async function startSts(parts: Parameters<typeof respondAsSts>[2]['parts']): Promise<FakeSts> {
  const upstream = await startFakeUpstream({ findSigner: parts.findCaller, nowMs: parts.nowMs });
  const calls: StsCall[] = [];
  const script: StsFault[] = [];
  let usual: StsFault | undefined;
  let lifetimeMs: number | undefined;
  upstream.respondWith((request, response) => {
    calls.push(describeStsCall(request, parts.findCaller(request.signature?.accessKeyId ?? '')));
    const respond = (): void => respondAsSts(request, response, { parts, lifetimeMs });
    const fault = script.shift() ?? usual;
    if (fault === undefined) respond();
    else fault(respond, response);
  });
  return {
    url: `http://${upstream.authority}`,
    upstream,
    calls,
    always: (fault) => {
      usual = fault;
    },
    next: (...faults) => void script.push(...faults),
    liveFor: (next) => {
      lifetimeMs = next;
    },
  };
}
