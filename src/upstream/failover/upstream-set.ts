/**
 * Several upstreams as one: which of them a request may go to, and in which order they are asked. The attempts
 * themselves are made in `attempts.ts`.
 */
import type { MonotonicClock, WallClock } from '../../lib/clock.ts';
import { ProxyError } from '../../lib/errors.ts';
import { printable } from '../../lib/printable.ts';
import type { UpstreamSpec } from '../../config/upstreams.ts';
import type { Principal } from '../../domain/principal.ts';
import { matchesAnyGlob } from '../../lib/glob.ts';
import { findFacts } from '../../operations/find-facts.ts';
import { useInferenceProfile } from '../../routing/inference-profile.ts';
import { relocateRoute } from '../../routing/relocate.ts';
import type { Route, RoutingConfig } from '../../routing/route.ts';
import { boundUpstreamsOf, refuseUnknownUpstreams } from '../bound-upstreams.ts';
import type { Attempt, HeldResponse, ResponseObserver, ResponsePolicy, Upstream, Way } from '../upstream.ts';
import { Affinity, rankByWeight } from './affinity.ts';
import { makeAttempts, type Candidate } from './attempts.ts';
import { UpstreamHealth } from './health.ts';
import { findNameThere, isBoundToAccount, listsModel } from './served-models.ts';
import { readPrefixes } from './prefix.ts';
import { createProfileOwners } from './profile-owners.ts';

/** What the upstreams are made of. */
export interface UpstreamSetOptions {
  readonly specs: readonly UpstreamSpec[];
  /** Signs and sends for one of them. */
  readonly open: (spec: UpstreamSpec) => Pick<Upstream, 'send'>;
  /** Where requests go that an upstream says nothing about. */
  readonly routing: RoutingConfig;
  readonly deadlineMs: number;
  /** How many processes share what may be under way. */
  readonly processes: number;
  readonly tickMs: MonotonicClock;
  readonly nowMs: WallClock;
}

/** How one upstream is, for people and programs. */
export interface UpstreamState {
  readonly name: string;
  readonly region: string | undefined;
  /** `resting`: it throttled or could not be reached, and is left alone; `models`: some of its models are. */
  readonly state: 'ready' | 'resting' | 'models';
  readonly inFlight: number;
  /** Until it is tried again. */
  readonly restMs: number;
}

/** One of them. */
interface Member {
  readonly spec: UpstreamSpec;
  readonly upstream: Pick<Upstream, 'send'>;
  readonly health: UpstreamHealth;
  readonly routing: RoutingConfig;
}

/** The ways of one route, for whom and of which members. */
interface FoundWays {
  readonly principal: Principal;
  readonly members: readonly Member[];
  readonly ways: readonly [Way, ...Way[]];
}

/** Those that are not named by a request have no model of their own to rest. */
const NO_MODEL = '';

/** State: the upstreams in force, how each is, and where conversations are. */
export class UpstreamSet implements Upstream {
  readonly name = 'several';
  readonly #options: UpstreamSetOptions;
  readonly #affinity: Affinity;
  #members: readonly Member[];
  /** The file may change while a request is on its way. */
  readonly #memberOf = new WeakMap<Way, Member>();
  /** Asked twice for most requests. */
  readonly #waysOf = new WeakMap<Route, FoundWays>();

  constructor(options: UpstreamSetOptions) {
    this.#options = options;
    this.#affinity = new Affinity(options.tickMs);
    this.#members = options.specs.map((spec) => this.#open(spec));
  }

  /** From now on these. What is under way ends where it is; of one that leads where it led, the health is kept. */
  replace(specs: readonly UpstreamSpec[]): void {
    const before = this.#members;
    this.#members = specs.map((spec) => {
      const same = before.find((member) => member.spec.name === spec.name && leadsTo(member.spec) === leadsTo(spec));
      return same === undefined ? this.#open(spec) : { ...this.#open(spec), health: same.health };
    });
  }

  /** How each of them is now. */
  readStates(): readonly UpstreamState[] {
    return this.#members.map(({ spec: { name, region }, health }) => {
      const { readiness, restingModels, restMs } = health.describe();
      const state = readiness !== 'ready' ? 'resting' : restingModels > 0 ? 'models' : 'ready';
      return { name, region, state, inFlight: health.inFlight, restMs };
    });
  }

  findWays(route: Route, principal: Principal): readonly [Way, ...Way[]] {
    const known = this.#waysOf.get(route);
    if (known?.principal === principal && known.members === this.#members) return known.ways;
    const ways = this.#findWays(route, principal);
    this.#waysOf.set(route, { principal, members: this.#members, ways });
    return ways;
  }

  #findWays(route: Route, principal: Principal): readonly [Way, ...Way[]] {
    const members = this.#findReachable(route, principal);
    const { modelId } = route;
    const serving = members.flatMap((member) => {
      const region = member.spec.region ?? route.region;
      const name =
        modelId === undefined ? undefined : findNameThere(member.spec.models, modelId, { region, own: route.region });
      return modelId !== undefined && name === undefined ? [] : [{ member, name }];
    });
    const [home, ...others] = atHomeFirst(serving, ({ member }) => member.spec.region, route.region);
    if (home === undefined) throw unserved(modelId);
    const roams = isRepeatable(route);
    const bound = modelId !== undefined && isBoundToAccount(modelId);
    const free = bound ? others.filter(({ member }) => listsModel(member.spec.models, modelId)) : others;
    const profilesOf = createProfileOwners(principal);
    const toWay = ({ member, name }: typeof home): Way => {
      const { name: upstream, region } = member.spec;
      const relocation = { region, modelId: name === modelId ? undefined : name };
      const there = relocateRoute(route, relocation, member.routing);
      const way = { upstream, route: useInferenceProfile(there, profilesOf(member.spec, there.region)) };
      this.#memberOf.set(way, member);
      return way;
    };
    const ways = [toWay(home), ...(roams ? free.map(toWay) : [])] as const;
    return allowRegions(ways, principal);
  }

  async send(attempt: Attempt, observer: ResponseObserver, policy: ResponsePolicy): Promise<HeldResponse | undefined> {
    const { prepared, conversation } = attempt;
    const model = prepared.route.modelId ?? conversation.model ?? NO_MODEL;
    const candidates = this.#findCandidates(attempt);
    const isOne = candidates.length === 1;
    const owner = `${conversation.owner}\n${model}`;
    const prefixes = isOne ? [] : await readPrefixes(prepared.body, prepared.headers, owner);
    const ordered = isOne ? candidates : this.#order(candidates, prefixes);
    const { deadlineMs, tickMs, nowMs } = this.#options;
    await makeAttempts(attempt, ordered, {
      observer,
      policy,
      model,
      deadlineMs,
      tickMs,
      nowMs,
      onServed: ({ name, weight }) => {
        if (!isOne) this.#affinity.remember(prefixes, name, weight === 0);
      },
    });
    return undefined;
  }

  #open(spec: UpstreamSpec): Member {
    const { open, routing, tickMs } = this.#options;
    const endpointUrls = spec.endpointUrls ?? routing.endpointUrls;
    // An API key is shown in its own partition only.
    const defaultRegion = spec.apiKey === undefined ? routing.defaultRegion : (spec.region ?? routing.defaultRegion);
    return {
      spec,
      upstream: open(spec),
      health: new UpstreamHealth(tickMs),
      routing: { ...routing, endpointUrls, defaultRegion },
    };
  }

  /** Those that the caller may use, in the region that the request has to go to. */
  #findReachable(route: Route, principal: Principal): readonly Member[] {
    const names = this.#members.map(({ spec }) => spec.name);
    refuseUnknownUpstreams(principal, names);
    const bound = boundUpstreamsOf(principal);
    const region = route.regionSource === 'header' ? route.region : route.arnRegion;
    const reachable = this.#members.filter(
      ({ spec }) =>
        (bound.length === 0 || bound.includes(spec.name)) &&
        (region === undefined || spec.region === undefined || spec.region === region),
    );
    if (reachable.length === 0 && region !== undefined) throw notThere(region);
    return reachable;
  }

  /** What only the body tells is looked at here. It cannot be changed: a model in it has one name everywhere. */
  #findCandidates({ ways, conversation, prepared }: Attempt): readonly Candidate[] {
    const [home] = ways;
    const { model, otherModels, staysHome } = conversation;
    const allowed = staysHome && home !== undefined ? [home] : ways;
    const inBody = prepared.route.modelId === undefined && model !== undefined ? [model, ...otherModels] : otherModels;
    const bound = inBody.filter(isBoundToAccount);
    const candidates = allowed.flatMap((way) => {
      const member = this.#memberOf.get(way);
      if (member === undefined) return [];
      const { spec, upstream, health } = member;
      const { name, weight } = spec;
      const maxInFlight = spec.maxInFlight && Math.max(1, Math.floor(spec.maxInFlight / this.#options.processes));
      const region = way.route.region;
      const place = { region, own: home?.route.region ?? region };
      const isServed = inBody.every((asked) => findNameThere(spec.models, asked, place) === asked);
      const isIts = way === home || bound.every((asked) => listsModel(spec.models, asked));
      return isServed && isIts ? [{ name, weight, maxInFlight, way, upstream, health }] : [];
    });
    if (candidates.length > 0) return candidates;
    throw unserved(inBody[0]);
  }

  #order(candidates: readonly Candidate[], prefixes: readonly string[]): readonly Candidate[] {
    const ranked = rankByWeight(prefixes[0] ?? '', candidates);
    const last = this.#affinity.find(prefixes);
    const stays = ranked.filter(({ name }) => name === last);
    return [...stays, ...ranked.filter(({ name }) => name !== last)];
  }
}

/** The one that is meant if only one can be: of the region that the request names, or that takes all. */
function atHomeFirst<T>(all: readonly T[], regionOf: (one: T) => string | undefined, region: string): readonly T[] {
  const home = all.find((one) => (regionOf(one) ?? region) === region);
  return home === undefined ? all : [home, ...all.filter((one) => one !== home)];
}

function isRepeatable({ service, operation, modelId, streaming }: Route): boolean {
  if (streaming === 'bidirectional' || streaming === 'websocket') return false;
  return findFacts(service, operation, modelId !== undefined).isRepeatable;
}

/** If the key may use some of the regions, the ways to the others are none. */
function allowRegions(ways: readonly [Way, ...Way[]], principal: Principal): readonly [Way, ...Way[]] {
  const regions = principal.kind === 'key' ? principal.policy.regions : [];
  if (regions.length === 0) return ways;
  const [first, ...others] = ways.filter(({ route }) => matchesAnyGlob(regions, route.region));
  return first === undefined ? ways : [first, ...others];
}

/** What of a spec decides where requests go and who signs them. */
function leadsTo({ region, endpointUrls, identity, apiKey }: UpstreamSpec): string {
  return JSON.stringify([region, endpointUrls && [...endpointUrls], identity, apiKey]);
}

function notThere(region: string): ProxyError {
  return new ProxyError('ERR_NO_UPSTREAM', `No upstream of the proxy is in the region ${region}.`, {
    hint: 'The owner of the proxy says which there are (--upstreams, --fallback).',
  });
}

function unserved(model: string | undefined): ProxyError {
  const what = model === undefined ? 'this request' : `the model ${printable(model)}`;
  return new ProxyError('ERR_NO_UPSTREAM', `No upstream of the proxy serves ${what}.`, {
    hint: 'The owner of the proxy says which models an upstream serves, and by which names (models in --upstreams).',
  });
}
