/**
 * Opens the rates that several proxies count together: in Redis or Valkey if one is configured, else in the PostgreSQL
 * database that they share. A proxy on its own counts itself, and its workers let their primary count.
 */
import { createRateLimits, type RateLimits } from '../admission/rates.ts';
import { createSharedRates, RATE_RENEWAL_MS, type RateCounter } from '../admission/shared-rates.ts';
import type { Config } from '../config/config.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { printError, printTalk } from './print.ts';

/** Rates, and what ends them. */
export interface OpenRates {
  readonly rates: RateLimits;
  /** Whether they are counted for all proxies at present; undefined: they never are. */
  readonly areShared: (() => boolean) | undefined;
  /** After the server, and before the store. */
  close(): Promise<void>;
}

/**
 * `local`: what counts for this process while it is alone. The server that counts may be away: that is told. Throws
 * ERR_BAD_OPTION.
 */
export async function openRates(
  config: Pick<Config, 'redisUrl' | 'ratesFallback' | 'database'>,
  local: RateLimits = createRateLimits({ tickMs: MACHINE_TICKS }),
): Promise<OpenRates> {
  const counter = await openCounter(config);
  if (counter === undefined) return { rates: local, areShared: undefined, close: async () => {} };
  const { ratesFallback: fallback } = config;
  const meanwhile =
    fallback === 'local' ? 'until it is back, this proxy counts alone' : 'until it is back, keys with rates get 503';
  const rates = createSharedRates(counter, {
    tickMs: MACHINE_TICKS,
    local,
    fallback,
    onLost: (error) => {
      printTalk(`warning: The rates of keys cannot be counted for all proxies: ${meanwhile}.`);
      printError(error, false);
    },
    onBack: () => printTalk('note: The rates of keys are counted for all proxies again.'),
  });
  await rates.renew();
  const renewing = setInterval(() => void rates.renew(), RATE_RENEWAL_MS).unref();
  return {
    rates,
    areShared: () => !rates.isAlone,
    close: async () => {
      clearInterval(renewing);
      await rates.close();
    },
  };
}

/** Loads the library only then. */
async function openCounter({
  redisUrl,
  database,
}: Pick<Config, 'redisUrl' | 'database'>): Promise<RateCounter | undefined> {
  if (redisUrl !== undefined) return (await import('../store/redis/rates.ts')).openRedisRates(redisUrl);
  if (database.kind !== 'postgres') return undefined;
  return (await import('../store/postgres/rates.ts')).openPostgresRates(database.url);
}
