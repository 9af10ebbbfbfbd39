/**
 * Everybody who counts rates, as the rules of rates are tried on them: this process, Redis, PostgreSQL. Their clocks
 * stand still, and are set by the test.
 */
import { onTestFinished } from 'vitest';
import { createRateLimits, type RateLimits } from '../../src/admission/rates.ts';
import { createSharedRates, type RateCounter } from '../../src/admission/shared-rates.ts';
import { MACHINE_TICKS, monotonicClock } from '../../src/lib/clock.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { openPostgresRates } from '../../src/store/postgres/rates.ts';
import { openRedisRates } from '../../src/store/redis/rates.ts';
import { POSTGRES, sharedPostgres } from '../helpers/postgres.ts';
import { REDIS, sharedRedis } from '../helpers/redis.ts';

/** Where rates are counted, with nothing counted yet. */
export interface RatesPlace {
  /** As one proxy has them. */
  readonly rates: RateLimits;
  /** Lets so much time pass, when all that was given back has arrived. */
  advance(ms: number): Promise<void>;
  /** As proxies do from time to time. */
  renew(): Promise<void>;
  /** As another proxy has them; the same, if there can be no other. */
  openOther(): Promise<RateLimits>;
}

/** Somebody who counts. */
export interface RatesUnderTest {
  readonly name: string;
  /** The program is missing: its tests are named as skipped. */
  readonly isMissing: boolean;
  /** How often a random test is tried. */
  readonly runs: number;
  /** For the test that runs. */
  create(): Promise<RatesPlace>;
}

const START_MS = 1_700_000_000_000;

/** Shared rates that never count alone: an outage fails the test. Closed after it. */
function share(counter: RateCounter): ReturnType<typeof createSharedRates> {
  const rates = createSharedRates(counter, {
    tickMs: MACHINE_TICKS,
    local: createRateLimits({ tickMs: MACHINE_TICKS }),
    fallback: 'refuse',
    stepTimeoutMs: 20_000,
    onLost: () => {},
    onBack: () => {},
  });
  onTestFinished(() => rates.close());
  return rates;
}

const local: RatesUnderTest = {
  name: 'this process',
  isMissing: false,
  runs: 500,
  create: async () => {
    let nowMs = START_MS;
    const rates = createRateLimits({ tickMs: monotonicClock(() => nowMs) });
    return {
      rates,
      advance: async (ms) => void (nowMs += ms),
      renew: async () => {},
      openOther: async () => rates,
    };
  },
};

const redis: RatesUnderTest = {
  name: 'Redis',
  isMissing: REDIS === undefined,
  runs: 60,
  create: async () => {
    const server = await sharedRedis();
    await server.run('FLUSHALL');
    let nowMs = START_MS;
    const open = async () => share(await openRedisRates(server.url, { nowMs: () => nowMs }));
    const rates = await open();
    return {
      rates,
      advance: async (ms) => {
        await rates.untilSettled();
        nowMs += ms;
      },
      renew: () => rates.renew(),
      openOther: open,
    };
  },
};

/** Of all tests of a file. */
let database: Promise<string> | undefined;

async function openDatabaseWithClock(): Promise<string> {
  const server = await sharedPostgres();
  const url = await server.createDatabase({ migrated: true });
  await server.run(
    `CREATE TABLE bedrock_proxy.test_clock AS SELECT ${START_MS}::bigint AS ms;
     CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
       $$ SELECT ms FROM bedrock_proxy.test_clock $$`,
    new URL(url).pathname.slice(1),
  );
  return url;
}

const postgres: RatesUnderTest = {
  name: 'PostgreSQL',
  isMissing: POSTGRES === undefined,
  runs: 25,
  create: async () => {
    const url = await (database ??= openDatabaseWithClock());
    const clock = openDatabase(url, { maxConnections: 1 });
    onTestFinished(() => clock.close());
    await clock.transaction(async ({ run }) => {
      await run('TRUNCATE bedrock_proxy.rate_counts, bedrock_proxy.rate_slots');
      await run('UPDATE bedrock_proxy.test_clock SET ms = $1', [START_MS]);
    });
    const rates = share(openPostgresRates(url));
    return {
      rates,
      advance: async (ms) => {
        await rates.untilSettled();
        await clock.query({ name: 'advance', text: 'UPDATE bedrock_proxy.test_clock SET ms = ms + $1' }, [ms]);
      },
      renew: () => rates.renew(),
      openOther: async () => share(openPostgresRates(url)),
    };
  },
};

/** All of them. `afterAll(stopSharedRedis)` and `afterAll(stopSharedPostgres)` end what they start. */
export const RATES: readonly RatesUnderTest[] = [local, redis, postgres];
