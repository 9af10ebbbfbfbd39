/**
 * Stage of the way after the body is there: may this caller do this, and what may it cost? Only keys have limits. Its
 * first half, before the body, is `enter`. What was taken there and here (a slot, a share of the minute, money
 * reserved) is given back if a later limit refuses. Decides from what the request says; sends nothing, and changes
 * nothing of it.
 */
import type { WallClock } from '../lib/clock.ts';
import { unlessAborted } from '../lib/deadline.ts';
import { ProxyError } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';
import { MAX_MODEL_LENGTH } from '../domain/model-name.ts';
import type { Principal } from '../domain/principal.ts';
import type { RequestedUnits } from '../domain/units.ts';
import type { MediaVariant, PriceBook, PriceMoment } from '../pricing/cost.ts';
import type { KeyPolicy } from '../domain/key.ts';
import type { LedgerRow } from '../domain/ledger.ts';
import type { NewReservation } from '../domain/budget.ts';
import type { BudgetStore } from '../domain/store.ts';
import { type FactsLimits, type FactsRequest, type RequestFacts, readRequestFacts } from './request-facts.ts';
import { type Alternatives, budgetCostOf, findAlternatives } from './alternatives.ts';
import type { MaxUsage } from './estimate.ts';
import { checkModels, type FindProfileModels, limitsModels } from './models.ts';
import type { OperationFacts, UsageKind } from '../operations/facts.ts';
import { findFacts } from '../operations/find-facts.ts';
import { enter, untilEntered } from './enter.ts';
import { estimateRequest, findPriceNames, type RequestEstimate } from './pricing.ts';
import type { RateGrant, RateLimits } from './rates.ts';
import { reserveBudget } from './reserve.ts';
import { checkRegion, checkScope, type ReachedRoute } from './scope.ts';

/** Whom admission asks, and what it counts with. */
export interface AdmissionDependencies extends FactsLimits {
  readonly store: Pick<BudgetStore, 'reserve'>;
  readonly prices: PriceBook;
  readonly rates: RateLimits;
  /** What a budget reserves for a response without a limit; undefined: all that its model may write. */
  readonly assumedOutputTokens: number | undefined;
  /** Epoch milliseconds. */
  readonly nowMs: WallClock;
  /** Look-ups of profiles on behalf of this caller: they are shared by callers. */
  readonly findProfilesFor: (principal: Principal) => FindProfileModels;
}

/** `route` is the resolved one: if the body decides the operation, it has. */
export interface AdmissionRequest extends FactsRequest {
  /** Id of the request, and of what is reserved for it. */
  readonly requestId: string;
  readonly principal: Principal;
  /** The routes that it may take instead if the upstream of the first one throttles or fails; undefined: none. */
  readonly elsewhere?: readonly ReachedRoute[] | undefined;
  /** What `enter` gave before the body; undefined: the principal was not known then, or has no limits. */
  readonly entered?: RateGrant | undefined;
  /**
   * The ledger's row if this process dies before it settles; used if money is reserved. Its model and its charge are
   * filled in here.
   */
  readonly ifLost: () => LedgerRow;
  /** Fires when nobody waits any more: so does nothing here. Why is thrown. */
  readonly signal: AbortSignal;
  /** Money was reserved after `signal` had fired: the request has to be settled once more. */
  readonly onLateReservation: () => void;
}

/** A request that may go. */
export interface Admission {
  /** The model as the request names it, percent-decoded; the first, if it names several. */
  readonly model: string | undefined;
  /** Those that it names besides, as far as its body was read. */
  readonly otherModels: readonly string[];
  /**
   * The names under which its price is looked up, the first that has one. May grow until `namesAreFound` has resolved:
   * to be read at the end.
   */
  readonly priceNames: readonly string[];
  /** Those of `elsewhere` that the request may take. */
  readonly elsewhere: readonly ReachedRoute[];
  /** The same as `priceNames` on a route whose path has another model; by that model. */
  readonly renamed: ReadonlyMap<string, readonly string[]>;
  /**
   * Resolves when the application inference profile that it names has been looked up, or could not be; undefined if
   * there is none, and when it has resolved. Never rejects.
   */
  readonly namesAreFound: Promise<void> | undefined;
  /** Reserved from the key's budget; undefined if nothing was, not even 0. */
  readonly reservedNanoUsd: number | undefined;
  /** What it may use at most, as its budget counts it, or else its tokens per minute; undefined if neither did. */
  readonly estimate: MaxUsage | undefined;
  /** As the request asks for it; undefined if it does not, or if no limit needed it. */
  readonly serviceTier: string | undefined;
  /** What it asks for that only the request tells, and of what kind; undefined if it asks for nothing of the kind. */
  readonly requestedUnits: RequestedUnits | undefined;
  readonly variant: MediaVariant | undefined;
  /** A guardrail is billed besides the model. */
  readonly namesGuardrail: boolean;
  /** It asks for its response to be stored. */
  readonly storesResponse: boolean;
  /**
   * The request is over: gives its slot back and replaces its estimated tokens by what it used; `tokens` undefined: the
   * estimate stands. 0 for one that never went out. Any call but the first does nothing. Never throws. The ledger
   * settles the money.
   */
  release(settlement: { readonly tokens: number | undefined }): void;
}

type CallerDependencies = AdmissionDependencies & { readonly findProfileModels: FindProfileModels };
type KeyPrincipal = Extract<Principal, { kind: 'key' }>;

/**
 * Lets a request in, or throws by the first limit that refuses it: ERR_SCOPE, ERR_REGION_NOT_ALLOWED,
 * ERR_TOO_MANY_PARALLEL and ERR_REQUEST_RATE (if `enter` did not count it), ERR_MODEL_NOT_ALLOWED, ERR_UNPRICED,
 * ERR_TOKEN_RATE, ERR_BUDGET_EXCEEDED, ERR_BUDGET_HELD; also ERR_STORE_UNAVAILABLE, what reading a spooled or
 * compressed body throws, and why its signal fired. A request that is refused counts for no limit. To be called once,
 * when the whole body is there and before anything is sent. The caller releases the admission.
 */
export async function admit(request: AdmissionRequest, shared: AdmissionDependencies): Promise<Admission> {
  const { principal, route, signal } = request;
  const dependencies = { ...shared, findProfileModels: shared.findProfilesFor(principal) };
  const operation = findFacts(route.service, route.operation);
  if (principal.kind === 'key') {
    const found = request.entered ?? enter(principal, [route], shared.rates);
    const grant = found instanceof Promise ? await untilEntered(found, signal) : found;
    return admitKey({ ...request, grant }, principal, operation, dependencies).catch((error: unknown) => {
      grant?.undo();
      throw error;
    });
  }
  const facts = await unlessAborted(signal, readRequestFacts(request, { size: false, models: false }, dependencies));
  const priceContext = { region: route.region, moment: momentOf(facts, route, dependencies) };
  const names = growPriceNames(facts, { kind: operation.usage, priceContext }, dependencies);
  const judged = { route, models: facts.names.map((name) => [name]), policy: undefined, priced: undefined };
  const others = findAlternatives(request.elsewhere ?? [], judged, dependencies.prices);
  return openAdmission(facts, { names, others, grant: undefined, estimate: undefined, reservedNanoUsd: undefined });
}

async function admitKey(
  { grant, ...request }: AdmissionRequest & { readonly grant: RateGrant | undefined },
  { policy, keyId }: KeyPrincipal,
  { usage: kind, medium }: OperationFacts,
  dependencies: CallerDependencies,
): Promise<Admission> {
  const { route, signal } = request;
  checkScope(policy, route);
  checkRegion(policy, route);
  const budget = kind === 'free' ? undefined : policy.budget;
  const countsTokens = kind !== 'free' && policy.tokensPerMinute !== undefined;
  const required = { size: budget !== undefined || countsTokens, models: limitsModels(policy) };
  const facts = await unlessAborted(signal, readRequestFacts(request, required, dependencies));
  if (required.models) {
    const named = { ...facts, region: route.region };
    const checking = checkModels(policy, named, dependencies.findProfileModels);
    if (checking !== undefined) await unlessAborted(signal, checking);
  }
  const { size } = facts;
  const moment = momentOf(facts, route, dependencies);
  const priceContext = { region: route.region, moment };
  const found = facts.names.map((name) =>
    budget === undefined ? [name] : findPriceNames(name, priceContext, dependencies),
  );
  const models = found.every(isFound) ? found : await unlessAborted(signal, Promise.all(found));
  const { namesGuardrail } = facts;
  const { assumedOutputTokens } = dependencies;
  const priced = { models, moment, medium, namesGuardrail, assumedOutputTokens };
  const { prices } = dependencies;
  const estimate = size && estimateRequest({ requested: size, ...priced }, prices);
  const isCounted = kind === 'metered' && budget !== undefined;
  const judged = { route, models, policy, priced: isCounted && size ? { requested: size, ...priced } : undefined };
  const others = findAlternatives(request.elsewhere ?? [], judged, prices);
  const amount = budget && amountOf(kind === 'metered' ? estimate : undefined, { facts, route, policy });
  const reservedNanoUsd = amount === undefined ? undefined : Math.max(amount, budgetCostOf(others.dearest));
  const counting = estimate && grant?.addTokens(policy, tokensOf(estimate.use));
  if (counting !== undefined) await unlessAborted(signal, counting);
  if (budget !== undefined && reservedNanoUsd !== undefined) {
    const reservation = { id: request.requestId, keyId, amountNanoUsd: reservedNanoUsd, budget, nowMs: moment.atMs };
    const hasOutputLimit = size?.maxOutputTokens !== undefined || estimate?.wholeUse.outputTokens === 0;
    await reserve(reservation, { model: facts.names[0], request, hasOutputLimit }, dependencies);
  }
  const isDearer = amount !== undefined && budgetCostOf(others.dearest) > amount;
  const counted = budget === undefined ? estimate?.use : (isDearer ? others.dearest : estimate)?.wholeUse;
  const names =
    budget === undefined
      ? growPriceNames(facts, { kind, priceContext }, dependencies)
      : { priceNames: models.flat(), namesAreFound: undefined };
  return openAdmission(facts, { names, others, grant, estimate: counted, reservedNanoUsd });
}

function isFound(names: ReturnType<typeof findPriceNames>): names is readonly string[] {
  return !(names instanceof Promise);
}

function tokensOf({ inputTokens, outputTokens }: MaxUsage): number {
  return inputTokens + outputTokens;
}

async function reserve(
  reservation: Omit<NewReservation, 'ifLost'>,
  {
    model,
    request,
    hasOutputLimit,
  }: {
    readonly model: string | undefined;
    readonly request: AdmissionRequest;
    readonly hasOutputLimit: boolean;
  },
  { store }: AdmissionDependencies,
): Promise<void> {
  const { signal } = request;
  const shown = model?.slice(0, MAX_MODEL_LENGTH);
  const reserving = reserveBudget(
    { ...reservation, ifLost: { ...request.ifLost(), model: shown, chargedNanoUsd: reservation.amountNanoUsd } },
    { store, hasOutputLimit },
  );
  await unlessAborted(signal, reserving).catch((error: unknown) => {
    if (signal.aborted) reserving.then(request.onLateReservation, () => {});
    throw error;
  });
}

/**
 * The amount to reserve, if the budget counts the request. Throws ERR_UNPRICED if the price is unknown and the key must
 * not use what has none.
 */
function amountOf(
  estimate: RequestEstimate | undefined,
  { facts, route, policy }: { readonly facts: RequestFacts; readonly route: ReachedRoute; readonly policy: KeyPolicy },
): number {
  if (estimate?.costNanoUsd !== undefined) return estimate.costNanoUsd;
  if (policy.allowUnpriced) return estimate?.pricedNanoUsd ?? 0;
  const { names } = facts;
  const { operation, service } = route;
  const what =
    names[0] === undefined
      ? `${operation ?? 'an unknown operation'} of ${service}`
      : `the model ${printable(names[0])}`;
  if (estimate?.hasUnknownInput === true) {
    const message = `This key has a budget, and nobody knows how much ${what} may read of what the body does not tell.`;
    throw new ProxyError('ERR_UNPRICED', message, {
      hint: 'Send it as text in the body; or the owner can let the key use it all the same (--allow-unpriced).',
    });
  }
  const searches = (facts.size?.webSearches ?? 0) > 0 ? 'searches of the web' : undefined;
  const besides = facts.namesGuardrail ? 'guardrail' : searches;
  if (besides !== undefined && estimate !== undefined && estimate.pricedNanoUsd > 0) {
    const message = `This key has a budget, and nobody knows what the ${besides} of this request would cost.`;
    throw new ProxyError('ERR_UNPRICED', message, {
      hint: 'The owner can let the key use it all the same (--allow-unpriced).',
    });
  }
  throw new ProxyError('ERR_UNPRICED', `This key has a budget, and nobody knows what ${what} would cost.`, {
    hint:
      // Of an operation that does not say what it uses, no price would help.
      names[0] === undefined || estimate === undefined
        ? 'The owner can let the key use it all the same (--allow-unpriced).'
        : 'The owner can fetch newer prices (bedrock-proxy prices update), name its price (--prices FILE), ' +
          'or let the key use it all the same (--allow-unpriced).',
  });
}

type PriceNames = Pick<Admission, 'priceNames' | 'namesAreFound'>;

/**
 * The names themselves, and in a moment also those behind the first of them, if it is an application inference profile:
 * that is looked up beside the request, which does not wait for it.
 */
function growPriceNames(
  { names }: RequestFacts,
  { kind, priceContext }: { readonly kind: UsageKind; readonly priceContext: Parameters<typeof findPriceNames>[1] },
  dependencies: CallerDependencies,
): PriceNames {
  const priceNames = [...names];
  const [first] = names;
  const found = first === undefined || kind === 'free' ? [] : findPriceNames(first, priceContext, dependencies);
  if (isFound(found)) return { priceNames, namesAreFound: undefined };
  const growing: { priceNames: string[]; namesAreFound: Promise<void> | undefined } = {
    priceNames,
    namesAreFound: found
      .then(
        ([, ...behind]) => void priceNames.push(...behind),
        () => {},
      )
      .finally(() => (growing.namesAreFound = undefined)),
  };
  return growing;
}

function openAdmission(
  {
    names: [model, ...otherModels],
    serviceTier,
    requestedUnits,
    variant,
    namesGuardrail,
    storesResponse,
  }: RequestFacts,
  {
    names,
    others,
    grant,
    ...known
  }: Pick<Admission, 'estimate' | 'reservedNanoUsd'> & {
    readonly names: PriceNames;
    readonly others: Alternatives;
    readonly grant: RateGrant | undefined;
  },
): Admission {
  return {
    model,
    otherModels,
    serviceTier,
    requestedUnits,
    variant,
    namesGuardrail,
    storesResponse,
    priceNames: names.priceNames,
    elsewhere: others.routes,
    renamed: others.renamed,
    get namesAreFound() {
      return names.namesAreFound;
    },
    ...known,
    release: ({ tokens }) => grant?.finish(tokens),
  };
}

function momentOf(
  { serviceTier, latency, variant }: RequestFacts,
  { region }: ReachedRoute,
  { nowMs }: AdmissionDependencies,
): PriceMoment {
  return { atMs: nowMs(), region, serviceTier, latency, variant };
}
