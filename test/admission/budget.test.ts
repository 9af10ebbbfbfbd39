/**
 * Budgets, with a real database and the prices the program comes with. Claude Haiku 4.5 in the United States: $1.10 a
 * million tokens of input, $2.20 written to a cache for an hour, $5.50 of output.
 */
import { describe, expect, it } from 'vitest';
import type { Budget } from '../../src/domain/key.ts';
import type { Store } from '../../src/domain/store.ts';
import { failureOf } from '../helpers/failure.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';
import { type Admitting, HAIKU, openAdmitting, openDatabase } from './admitting.ts';

const START = Date.UTC(2026, 9, 1);
const budgetOf = (limitNanoUsd: number, windowMs?: number): Budget => ({ limitNanoUsd, windowMs, anchorMs: START });
/** An input of 30 bytes is 10 tokens. */
const BODY = Buffer.from('{"max_tokens":1000,"x":"abcd"}');
const PATH = `/model/us.${HAIKU}/invoke`;
/** 10 tokens at $2.20 a million and 1,000 at $5.50 a million. */
const AMOUNT = 10 * 2_200 + 1_000 * 5_500;

async function open(options: { priceFile?: object } = {}): Promise<Admitting & { store: Store }> {
  const store = await openDatabase();
  return { ...(await openAdmitting({ store, ...options })), store };
}

async function spendOf(store: Store, budget: Budget, nowMs: number) {
  const policy = { budget } as never;
  return (await store.findSpend([{ id: 'vk_a', policy }], nowMs)).get('vk_a');
}

describe('a budget', () => {
  it('reserves what a request costs at most, and writes that into the ledger', async () => {
    const { ask, store, clock, lastRow } = await open();
    const budget = budgetOf(1_000_000_000);
    const admission = await ask({ path: PATH, body: BODY, policy: { budget } });
    expect(admission.reservedNanoUsd).toBe(AMOUNT);
    expect(await spendOf(store, budget, clock.nowMs)).toMatchObject({ windowNanoUsd: 0, reservedNanoUsd: AMOUNT });
    expect(lastRow()).toMatchObject({ id: 'exchange-1', model: `us.${HAIKU}`, chargedNanoUsd: AMOUNT });
    await store.settle(aLedgerRow({ id: 'exchange-1', chargedNanoUsd: 5 }));
    expect(await spendOf(store, budget, clock.nowMs)).toMatchObject({ windowNanoUsd: 5, reservedNanoUsd: 0 });
  });

  it('admits as many requests at once as a budget can pay for, and asks the others to come again', async () => {
    const { ask, rates } = await open();
    const policy = { budget: budgetOf(7 * AMOUNT + 1), requestsPerMinute: 7, maxParallel: 100 };
    const responses = await Promise.allSettled(
      Array.from({ length: 100 }, () => ask({ path: PATH, body: BODY, policy: { ...policy, requestsPerMinute: 100 } })),
    );
    const refused = responses.filter((response) => response.status === 'rejected');
    expect(refused).toHaveLength(93);
    expect(refused[0]?.reason).toMatchObject({
      code: 'ERR_BUDGET_HELD',
      status: 429,
      awsType: 'ThrottlingException',
      retryAfterSeconds: 2,
      message:
        'This key has spent $0.00 of its budget of $0.038654001, $0.038654 is reserved for its requests under way, and this request may cost up to $0.005522.',
    });
    // The refused ones count for no limit: seven are under way, and seven were sent.
    expect((await failureOf(() => ask({ path: '/async-invoke', method: 'GET', policy }))).message).toContain('sent 7 ');
    expect(rates.size).toBe(1);
  });

  it('refuses a request once the budget is spent, with a status that nobody sends again', async () => {
    const { ask, store } = await open();
    const policy = { budget: budgetOf(AMOUNT, 86_400_000) };
    await ask({ path: PATH, body: BODY, policy });
    await store.settle(aLedgerRow({ id: 'exchange-1', chargedNanoUsd: 1_000_000 }));
    expect(await failureOf(() => ask({ path: PATH, body: BODY, policy }))).toMatchObject({
      code: 'ERR_BUDGET_EXCEEDED',
      status: 402,
      retryAfterSeconds: undefined,
      message: 'This key has spent $0.001 of its budget of $0.005522, and this request may cost up to $0.005522.',
      hint: 'A new budget starts at 2026-11-02T00:00:00.000Z. A smaller max_tokens may still pass; the owner of the key can give it more.',
    });
    const small = Buffer.from('{"max_tokens":10}');
    await ask({ path: PATH, body: small, policy });
  });

  it('reserves nothing if nothing is to be paid', async () => {
    const { ask } = await openAdmitting();
    const policy = { budget: budgetOf(1) };
    for (const path of [`/model/${HAIKU}/count-tokens`])
      expect((await ask({ path, policy })).reservedNanoUsd).toBeUndefined();
    expect((await ask({ method: 'GET', path: '/foundation-models', policy })).reservedNanoUsd).toBeUndefined();
  });

  it('asks no budget if the rate refuses, and gives the rate back if the store fails', async () => {
    const { ask } = await openAdmitting();
    const policy = { budget: budgetOf(1_000_000_000), requestsPerMinute: 1, maxParallel: 1 };
    for (let count = 0; count < 3; count += 1) {
      await expect(ask({ path: PATH, body: BODY, policy })).rejects.toThrow('no database');
    }
  });

  it('reserves for the most expensive of the models that are named', async () => {
    const priceFile = {
      models: { 'openai.cheap': { input_mtok: 1, output_mtok: 1 }, 'openai.dear': { input_mtok: 1, output_mtok: 9 } },
    };
    const { ask } = await open({ priceFile });
    const policy = { budget: budgetOf(1_000_000_000_000) };
    const body = { model: 'openai.cheap', max_tokens: 1_000_000, tools: [{ model: 'openai.dear' }] };
    const admission = await ask({ path: '/openai/v1/chat/completions', body, policy });
    expect(admission.reservedNanoUsd).toBeGreaterThanOrEqual(9_000_000_000);
    expect(admission.priceNames).toEqual(['openai.cheap', 'openai.dear']);
  });

  it('prices what stands behind an application inference profile', async () => {
    const { ask, profiles, lookups } = await open();
    const arn = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl';
    const behind = `arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}`;
    const call = {
      path: `/model/${encodeURIComponent(arn)}/invoke`,
      body: BODY,
      policy: { budget: budgetOf(1_000_000_000) },
    };
    expect((await failureOf(() => ask(call))).code).toBe('ERR_UNPRICED');
    profiles.set(arn, [behind]);
    const admission = await ask(call);
    expect(admission.reservedNanoUsd).toBe(AMOUNT);
    expect(admission.priceNames).toEqual([arn, behind]);
    profiles.set(arn, [behind, 'arn:aws:bedrock:us-east-1::foundation-model/nobody.knows-it']);
    expect((await failureOf(() => ask(call))).code).toBe('ERR_UNPRICED');
    expect(lookups).toHaveLength(3);
  });

  it('takes a price that the owner gave the profile itself, without a look-up', async () => {
    const arn = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl';
    const { ask, lookups } = await open({ priceFile: { models: { [arn]: { input_mtok: 1, output_mtok: 2 } } } });
    const policy = { budget: budgetOf(1_000_000_000) };
    const admission = await ask({ path: `/model/${encodeURIComponent(arn)}/invoke`, body: BODY, policy });
    expect(admission.reservedNanoUsd).toBe(10 * 1_000 + 1_000 * 2_000);
    expect(lookups).toEqual([]);
  });

  it('reserves by the tier that is asked for', async () => {
    const tiers = { priority: { input_mtok: 2, output_mtok: 4 } };
    const { ask } = await open({ priceFile: { models: { 'a.b': { input_mtok: 1, output_mtok: 2, tiers } } } });
    const policy = { budget: budgetOf(1_000_000_000) };
    const call = { path: '/model/a.b/invoke', body: BODY, policy };
    expect((await ask(call)).reservedNanoUsd).toBe(10 * 1_000 + 1_000 * 2_000);
    const headers = [['X-Amzn-Bedrock-Service-Tier', 'priority']] as const;
    expect((await ask({ ...call, headers })).reservedNanoUsd).toBe(10 * 2_000 + 1_000 * 4_000);
    const optimized = [['X-Amzn-Bedrock-PerformanceConfig-Latency', 'optimized']] as const;
    expect((await failureOf(() => ask({ ...call, headers: optimized }))).code).toBe('ERR_UNPRICED');
  });

  it('reserves for a conversation that begins as much speech both ways', async () => {
    const rates = { input_mtok: 1, output_mtok: 2, input_audio_mtok: 3, output_audio_mtok: 4 };
    const { ask } = await open({ priceFile: { models: { 'amazon.sonic': rates } } });
    const policy = { budget: budgetOf(1_000_000_000) };
    const path = '/model/amazon.sonic/invoke-with-bidirectional-stream';
    expect((await ask({ path, body: Buffer.alloc(0), policy })).reservedNanoUsd).toBe(8_192 * 7_000);
  });
});

describe('what nobody knows the price of', () => {
  it.each([
    { name: 'a model', path: '/model/nobody.knows-it/invoke', told: 'the model nobody.knows-it', helps: 'prices' },
    {
      name: 'an agent',
      path: '/agents/ABCDEFGHIJ/agentAliases/ABCDEFGHIJ/sessions/s1/text',
      told: 'InvokeAgent of bedrock-agent-runtime',
    },
    {
      name: 'a job of a model that makes no video',
      path: '/async-invoke',
      body: { modelId: HAIKU },
      told: `the model ${HAIKU}`,
      helps: 'prices',
    },
    {
      name: 'what reports no usage',
      path: '/flows/ABCDEFGHIJ/aliases/ABCDEFGHIJ',
      told: 'InvokeFlow of bedrock-agent-runtime',
    },
    { name: 'an unknown operation', path: '/openai/v1/tomorrow', told: 'an unknown operation of bedrock-runtime' },
  ])(
    'refuses what has no price to a key with a budget, unless it may: $name',
    async ({ path, body = {}, told, helps }) => {
      const { ask } = await open();
      const policy = { scope: 'all', budget: budgetOf(1_000_000_000), requestsPerMinute: 1 } as const;
      expect(await failureOf(() => ask({ path, body, policy }))).toMatchObject({
        code: 'ERR_UNPRICED',
        status: 402,
        message: `This key has a budget, and nobody knows what ${told} would cost.`,
        hint:
          helps === undefined
            ? 'The owner can let the key use it all the same (--allow-unpriced).'
            : 'The owner can fetch newer prices (bedrock-proxy prices update), name its price (--prices FILE), ' +
              'or let the key use it all the same (--allow-unpriced).',
      });
      const admission = await ask({ path, body, policy: { ...policy, allowUnpriced: true } });
      expect(admission.reservedNanoUsd).toBe(0);
      await ask({ path, body, policy: { scope: 'all', budget: undefined } });
    },
  );

  it('admits a guardrail whose price the owner named', async () => {
    const { ask } = await open({ priceFile: { models: {}, guardrail_units: { contentPolicyUnits: 0.00015 } } });
    const policy = { budget: budgetOf(1_000_000_000) };
    const body = { source: 'INPUT', content: [{ text: { text: 'some text '.repeat(200) } }] };
    const admission = await ask({ path: '/guardrail/a/version/1/apply', body, policy });
    // Every policy that has a price may read all of it.
    expect(admission.reservedNanoUsd).toBeGreaterThanOrEqual(3 * 150_000);
  });

  it('refuses what has no price even so if the budget is overdrawn', async () => {
    const { ask, store } = await open();
    const policy = { budget: budgetOf(100), allowUnpriced: true };
    await ask({ path: '/model/nobody.knows-it/invoke', policy });
    await store.settle(aLedgerRow({ id: 'exchange-1', chargedNanoUsd: 101 }));
    expect((await failureOf(() => ask({ path: '/model/nobody.knows-it/invoke', policy }))).code).toBe(
      'ERR_BUDGET_EXCEEDED',
    );
  });
});
