/**
 * What a budget may lose, as docs/budgets.md has it: nothing, while each request stays within what is reserved for it;
 * and what requests cost more that do not. Whatever their shape, model, region, tier and size, however they end, many
 * at once, in two stores on one database. An oracle that shares no code with the program knows what AWS bills.
 */
import Database from 'better-sqlite3';
import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLedger, type Ledger } from '../../src/accounting/ledger-writer.ts';
import { openSettlement } from '../../src/accounting/settle.ts';
import { type Admission, type AdmissionDependencies, admit } from '../../src/admission/admit.ts';
import { createRateLimits } from '../../src/admission/rates.ts';
import { createRequestEvents } from '../../src/domain/events.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { rowOf } from '../../src/domain/ledger-row.ts';
import { openRecord, type RequestRecord } from '../../src/domain/request-record.ts';
import type { Store } from '../../src/domain/store.ts';
import { describeHead } from '../../src/http/message.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { clientGone, ProxyError } from '../../src/lib/errors.ts';
import type { ModelPrice, PriceBook } from '../../src/pricing/cost.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { BOUND_SHAPES, type BoundShape, type BoundUsage } from './bound-shapes.ts';

const MODELS = ['anthropic.claude-bound-1', 'anthropic.claude-bound-2'] as const;
const REGIONS = ['us-east-1', 'eu-central-1', 'sa-east-1'] as const;
const STEP_TOKENS = 2_000;
const MAX_OUTPUT = 12_000;
/** Of text that has a token for each byte, and for that a longer context than was reserved. */
const MAX_EXCESS = 3 * 2;

/** Nano-dollars a token: AWS's true price, and the dearer one that another source tells. */
interface Rates {
  readonly input: number;
  readonly output: number;
  readonly read: number;
  readonly write: number;
}

const TIERS: Readonly<Record<string, number>> = { default: 4, flex: 2, priority: 7 };
const baseOf = (model: string): number => 1 + MODELS.indexOf(model as (typeof MODELS)[number]) * 3;

function ratesOf(model: string, { region, tier = 'default' }: { region: string; tier?: string | undefined }): Rates {
  const unit = baseOf(model) * (10 + REGIONS.indexOf(region as (typeof REGIONS)[number])) * (TIERS[tier] ?? 0);
  return { input: unit, output: 5 * unit, read: Math.floor(unit / 10), write: unit + Math.floor(unit / 4) };
}

/** Above STEP_TOKENS of input, all of it costs twice. */
function toPrice({ input, output, read, write }: Rates, factor: number): ModelPrice {
  const rate = (nano: number) => ({
    base: nano * factor * 1_000,
    steps: [{ aboveTokens: STEP_TOKENS, price: 2 * nano * factor * 1_000 }],
  });
  return {
    input: rate(input),
    output: rate(output),
    cacheRead: rate(read),
    cacheWrite: rate(write),
    maxOutputTokens: MAX_OUTPUT,
    contextTokens: 200_000,
  };
}

/** For the second model, sources differ: AWS bills what the dearer one says. */
const PRICES: PriceBook = {
  find: (name, { region, serviceTier }) => {
    const model = MODELS.find((id) => name === id);
    const tier = serviceTier === undefined || serviceTier === 'auto' ? 'default' : serviceTier;
    if (model === undefined || TIERS[tier] === undefined) return undefined;
    const rates = ratesOf(model, { region, tier });
    const price = toPrice(rates, 1);
    return model === MODELS[1] ? { ...price, ceiling: toPrice(rates, 2) } : price;
  },
  findGuardrail: () => undefined,
  list: () => [],
};

function trueCost(usage: BoundUsage, at: { model: string; region: string; tier: string | undefined }): number {
  const { input, output, read, write } = ratesOf(at.model, at);
  const sum = usage.input * input + usage.output * output + usage.read * read + usage.written * write;
  const isLong = usage.input + usage.read + usage.written > STEP_TOKENS;
  return sum * (isLong ? 2 : 1) * (at.model === MODELS[1] ? 2 : 1);
}

/** How a request ends. */
const FATES = [
  'whole',
  'left and read on',
  'left and cut',
  'silent for too long',
  'broken by AWS',
  'refused by AWS',
  'sent twice',
] as const;

interface Plan {
  /** Its name. */
  readonly shape: string;
  readonly model: (typeof MODELS)[number];
  readonly region: (typeof REGIONS)[number];
  readonly textBytes: number;
  readonly maxTokens: number | undefined;
  readonly tier: string | undefined;
  /** AWS serves the standard tier although another was asked for, or `priority` for `auto`. */
  readonly isServedOtherwise: boolean;
  readonly store: number;
  readonly fate: (typeof FATES)[number];
  /** Shares of what is possible, in percent. */
  readonly inputShare: number;
  readonly readShare: number;
  readonly writtenShare: number;
  readonly outputShare: number;
  readonly shownShare: number;
  readonly cutShare: number;
}

const shapeOf = ({ shape }: Plan): BoundShape =>
  BOUND_SHAPES.find(({ name }) => name === shape) ?? expect.fail('no such shape');

const percent = fc.integer({ min: 0, max: 100 });
const plans: fc.Arbitrary<Plan> = fc.record({
  shape: fc.constantFrom(...BOUND_SHAPES.map(({ name }) => name)),
  model: fc.constantFrom(...MODELS),
  region: fc.constantFrom(...REGIONS),
  textBytes: fc.oneof(fc.nat({ max: 200 }), fc.integer({ min: 5_500, max: 7_000 })),
  maxTokens: fc.option(fc.integer({ min: 1, max: 6_000 }), { nil: undefined }),
  tier: fc.constantFrom(undefined, undefined, 'default', 'flex', 'priority', 'auto'),
  isServedOtherwise: fc.boolean(),
  store: fc.nat({ max: 1 }),
  fate: fc.constantFrom(...FATES),
  inputShare: fc.oneof(percent, fc.constant(100)),
  readShare: percent,
  writtenShare: percent,
  outputShare: fc.oneof(percent, fc.constant(100)),
  shownShare: percent,
  cutShare: percent,
});

interface Sent {
  readonly plan: Plan;
  readonly record: RequestRecord;
  readonly admission: Admission;
  readonly bodyBytes: number;
}

/** Two proxies, as far as money goes, on one database. */
class Pair {
  readonly #stores: readonly Store[];
  readonly #ledgers: readonly Ledger[];
  readonly #principal: Extract<Principal, { kind: 'key' }>;
  #serial = 0;

  constructor(stores: readonly Store[], limitNanoUsd: number) {
    this.#stores = stores;
    this.#ledgers = stores.map((store) =>
      createLedger({ store, nowMs: Date.now, tickMs: MACHINE_TICKS, onProblem: () => {}, retentionMs: undefined }),
    );
    const policy = { ...EMPTY_POLICY, budget: { limitNanoUsd, windowMs: undefined, anchorMs: 0 } };
    this.#principal = { kind: 'key', keyId: 'vk_a', label: 'a', policy, tags: {} };
  }

  async send(plan: Plan): Promise<Sent | undefined> {
    const { model, region, store: index } = plan;
    const shape = shapeOf(plan);
    const tier = shape.hasTier ? plan.tier : undefined;
    const asked = { model, text: 'w'.repeat(plan.textBytes), maxTokens: plan.maxTokens, tier };
    const bytes = Buffer.from(JSON.stringify(shape.body(asked)));
    this.#serial += 1;
    const record = openRecord(`r${this.#serial}`, Date.now(), describeHead(aClientRequest({ method: 'POST' })));
    const modelId = shape.path === undefined ? undefined : model;
    const route = {
      service: 'bedrock-runtime',
      operation: shape.operation,
      region,
      modelId,
      effect: 'inference',
      plane: 'data',
    } as const;
    Object.assign(record, { route, principal: this.#principal });
    const dependencies: AdmissionDependencies = {
      store: this.#stores[index] ?? expect.fail('no such store'),
      prices: PRICES,
      assumedOutputTokens: undefined,
      rates: createRateLimits({ tickMs: MACHINE_TICKS }),
      nowMs: Date.now,
      findProfilesFor: () => async () => undefined,
      maxUnpackedBytes: 1e6,
    };
    try {
      const admission = await admit(
        {
          requestId: record.id,
          principal: this.#principal,
          route,
          headers: [],
          body: { chunks: [bytes], sizeBytes: bytes.length },
          ifLost: () => rowOf(record, this.#principal),
          signal: new AbortController().signal,
          onLateReservation: () => {},
        },
        dependencies,
      );
      return { plan, record, admission, bodyBytes: bytes.length };
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_BUDGET_/) });
      return undefined;
    }
  }

  /** Lets the response come and end as planned. */
  end({ plan, record, admission }: Sent, response: Response): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const events = createRequestEvents([{ ended: () => resolve() }], (thrown) => expect.unreachable(String(thrown)));
    const { seconds, bytes, isEnded, error, status } = response;
    let elapsedMs = 10;
    const ledger = this.#ledgers[plan.store] ?? expect.fail('no such ledger');
    const settlement = openSettlement(
      { record, elapsedMs: () => elapsedMs },
      { prices: PRICES, ledger, responseHeaders: true, events },
    );
    const { observer } = settlement;
    settlement.onAdmitted(admission);
    for (let attempt = plan.fate === 'sent twice' ? 0 : 1; attempt < 2; attempt += 1) {
      observer.onSigned();
      observer.onSent();
      if (attempt === 0) observer.onUnsent();
    }
    observer.onHead(status, [['content-type', shapeOf(plan).contentType]]);
    elapsedMs += seconds * 1_000;
    for (let at = 0; at < bytes.length; at += 700) observer.onBytes(bytes.subarray(at, at + 700));
    if (error?.code === 'ERR_CLIENT_GONE') observer.onReadOn();
    if (isEnded) observer.onEnd();
    record.error = error;
    settlement.finish();
    return promise;
  }

  async close(): Promise<void> {
    for (const ledger of this.#ledgers) await ledger.close();
  }
}

interface Response {
  readonly status: number;
  readonly bytes: Buffer;
  readonly seconds: number;
  readonly isEnded: boolean;
  readonly error: ProxyError | undefined;
  readonly costNanoUsd: number;
}

const share = (whole: number, part: number): number => Math.floor((whole * part) / 100);

/** What AWS does, and what it bills. `bytesPerToken`: how dense the text is. */
function respond({ plan, bodyBytes }: Sent, bytesPerToken: number): Response {
  const { model, region, fate } = plan;
  const shape = shapeOf(plan);
  const asked = shape.hasTier ? plan.tier : undefined;
  const otherTier = asked === 'auto' ? 'priority' : 'default';
  const tier = plan.isServedOtherwise ? otherTier : asked === 'auto' ? 'default' : asked;
  const whole = share(Math.floor(bodyBytes / bytesPerToken), plan.inputShare);
  const read = share(whole, plan.readShare);
  const written = shape.hasNoWrites === true ? 0 : share(whole - read, plan.writtenShare);
  const output = share(plan.maxTokens ?? MAX_OUTPUT, plan.outputShare);
  // No model is faster than the page has it, or else it shows all that it writes.
  const isFast = plan.shownShare > 50;
  const shownTokens = shape.isSilent === true && isFast ? output : share(output, plan.shownShare);
  const isEstimated = fate === 'broken by AWS' || (shape.isSilent === true && !isFast);
  const seconds = isEstimated ? output / 200 : 0;
  const usage = { input: whole - read - written, read, written, output };
  const told = { usage, shown: 'o'.repeat(shownTokens), tier: asked === undefined ? undefined : (tier ?? 'default') };
  const bytes = shape.bytes(told);
  const costNanoUsd = trueCost(usage, { model, region, tier });
  const response = { status: 200, bytes, seconds: seconds + 0.001, isEnded: true, error: undefined, costNanoUsd };
  const cut = { bytes: bytes.subarray(0, share(bytes.length, plan.cutShare)), isEnded: false };
  switch (fate) {
    case 'whole':
    case 'sent twice':
      return response;
    case 'left and read on':
      return { ...response, error: clientGone('It left.') };
    case 'left and cut':
      return { ...response, ...cut, error: clientGone('It left.') };
    case 'silent for too long':
      return { ...response, ...cut, error: new ProxyError('ERR_UPSTREAM_TIMEOUT', 'silent') };
    case 'broken by AWS':
      return { ...response, ...cut, error: new ProxyError('ERR_UPSTREAM_RESET', 'broken') };
    case 'refused by AWS':
      return { ...response, bytes: Buffer.from('{"message":"no"}'), status: 429, costNanoUsd: 0 };
    default:
      return fate satisfies never;
  }
}

interface Outcome {
  readonly billedNanoUsd: number;
  readonly limitNanoUsd: number;
  readonly passed: number;
}

/** Sends all at once, ends them in the order of the plans, and once more from the start: what is left is used up. */
async function run(all: readonly Plan[], limitNanoUsd: number, bytesPerToken: number): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'bound-'));
  const path = join(folder, 'keys.db');
  const stores = [await openSqliteStore(path), await openSqliteStore(path)];
  const pair = new Pair(stores, limitNanoUsd);
  const charged = new Map<string, number>();
  let billedNanoUsd = 0;
  try {
    for (let round = 0; round < 2; round += 1) {
      const sent = (await Promise.all(all.map((plan) => pair.send(plan)))).filter((one) => one !== undefined);
      for (const one of sent) {
        const response = respond(one, bytesPerToken);
        const { reservedNanoUsd = 0 } = one.admission;
        await pair.end(one, response);
        const { chargedNanoUsd, id } = one.record;
        const context = `${one.plan.shape}, ${one.plan.fate}`;
        const excess = bytesPerToken === 3 ? 1 : MAX_EXCESS;
        expect(response.costNanoUsd, context).toBeLessThanOrEqual(reservedNanoUsd * excess);
        expect(response.costNanoUsd, context).toBeLessThanOrEqual(chargedNanoUsd * excess);
        expect(chargedNanoUsd, context).toBeGreaterThanOrEqual(0);
        billedNanoUsd += response.costNanoUsd;
        charged.set(id, chargedNanoUsd);
      }
    }
    await pair.close();
    checkBooks(path, charged);
    return { billedNanoUsd, limitNanoUsd, passed: charged.size };
  } finally {
    for (const store of stores) await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The file itself, without code of ours: each request is settled once, and the account has their sum. */
function checkBooks(path: string, charged: ReadonlyMap<string, number>): void {
  const raw = new Database(path, { readonly: true });
  const rows = raw.prepare<[], { id: string; charged: number }>('SELECT id, charged_nano AS charged FROM ledger').all();
  const account = raw
    .prepare<[], { total: number; reserved: number }>(
      'SELECT total_nano AS total, reserved_nano AS reserved FROM key_spend',
    )
    .get();
  const reservations = raw.prepare('SELECT count(*) FROM reservations').pluck().get();
  raw.close();
  expect(reservations).toBe(0);
  expect(new Map(rows.map(({ id, charged: sum }) => [id, sum]))).toEqual(charged);
  expect(rows).toHaveLength(charged.size);
  const sum = [...charged.values()].reduce((total, one) => total + one, 0);
  expect(account ?? { total: 0, reserved: 0 }).toEqual({ total: sum, reserved: 0 });
}

const limits = fc.integer({ min: 1_000_000, max: 60_000_000 });

it('loses nothing beyond its limit to requests within what is reserved for them', { timeout: 120_000 }, async () => {
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(plans, { minLength: 1, maxLength: 40 }), limits, async (all, limit) => {
      const outcome = await run(all, limit, 3);
      expect(outcome.billedNanoUsd).toBeLessThanOrEqual(limit);
      passed += outcome.passed;
    }),
    { numRuns: 40, interruptAfterTimeLimit: 60_000 },
  );
  expect(passed).toBeGreaterThan(25);
});

it('loses nothing to a hundred requests at once', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plans, { minLength: 100, maxLength: 100 }), limits, async (all, limit) => {
      expect((await run(all, limit, 3)).billedNanoUsd).toBeLessThanOrEqual(limit);
    }),
    { numRuns: 3, interruptAfterTimeLimit: 60_000 },
  );
});

it('loses no more to text of a token for each byte than the docs have it', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plans, { minLength: 1, maxLength: 40 }), limits, async (all, limit) => {
      expect((await run(all, limit, 1)).billedNanoUsd).toBeLessThanOrEqual(limit * MAX_EXCESS);
    }),
    { numRuns: 10, interruptAfterTimeLimit: 60_000 },
  );
});
