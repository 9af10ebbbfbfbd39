/** The options of rates that several proxies count together, read. Pure. */
import { readDatabaseLocation } from './database-location.ts';
import { badOption, type Environment, findSetting, type Flags, OPTIONS, present, type Setting } from './options.ts';

/** What is configured of shared rates. */
export interface RatesConfig {
  /** The Redis or Valkey that counts them. Secret: it may hold a password. */
  readonly redisUrl: string | undefined;
  /** What is done with keys that have limits while the server that counts cannot be reached. */
  readonly ratesFallback: 'local' | 'refuse';
}

/** Of this program alone, and its server's: programs that it starts do not get it. */
export const REDIS_VARIABLE = 'BEDROCK_PROXY_REDIS_URL';
/** REDIS_URL alone is another program's more often than not: it counts for proxies that share a database. */
const FOREIGN_VARIABLE = 'REDIS_URL';

/** Throws ERR_BAD_OPTION. */
export function readRatesConfig(flags: Flags, environment: Environment): RatesConfig {
  const url = findSetting('redisUrl', flags, environment);
  const isForeign = url?.origin === FOREIGN_VARIABLE && readDatabaseLocation(flags, environment).kind === 'file';
  const fallback = present(findSetting('ratesFallback', flags, environment));
  const ratesFallback = OPTIONS.ratesFallback.values.find((value) => value === fallback.value);
  if (ratesFallback === undefined) throw badOption(fallback, `must be ${OPTIONS.ratesFallback.values.join(' or ')}`);
  return { redisUrl: url === undefined || isForeign ? undefined : parseRedisUrl(url), ratesFallback };
}

function parseRedisUrl(setting: Setting): string {
  const url = URL.parse(setting.value);
  const isNumber = /^\/?\d*$/.test(url?.pathname ?? '');
  // A `#` or `?` in a password that is not encoded: what follows would count as something else, and be shown.
  const isWhole = url?.hash === '' && !url.search.includes('@');
  const isRedis = url !== null && /^(redis|valkey)s?:$/.test(url.protocol) && url.hostname !== '';
  if (isRedis && isNumber && isWhole) return setting.value;
  throw badOption(setting, 'must be the URL of a Redis or Valkey, such as redis://127.0.0.1:6379 or rediss://…');
}
