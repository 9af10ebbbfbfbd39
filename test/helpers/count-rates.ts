/**
 * A process that counts rates with others: `count-rates.ts URL TIMES POLICY`. Says `ready`, waits for the end of its
 * standard input, asks TIMES at once for the key `vk_a`, says how many passed, and holds what it was granted until it
 * is killed.
 */
import { createRateLimits, type RatePolicy } from '../../src/admission/rates.ts';
import { createSharedRates } from '../../src/admission/shared-rates.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { openPostgresRates } from '../../src/store/postgres/rates.ts';
import { openRedisRates } from '../../src/store/redis/rates.ts';

const [url = '', times = '', policy = ''] = process.argv.slice(2);
const counter = url.startsWith('redis') ? await openRedisRates(url) : openPostgresRates(url);
const rates = createSharedRates(counter, {
  tickMs: MACHINE_TICKS,
  local: createRateLimits({ tickMs: MACHINE_TICKS }),
  fallback: 'refuse',
  stepTimeoutMs: 20_000,
  onLost: (error) => console.log(`lost: ${error.message}`),
  onBack: () => {},
});
await rates.renew();
console.log('ready');
process.stdin.resume().once('end', async () => {
  const limits = JSON.parse(policy) as RatePolicy;
  const asked = Array.from({ length: Number(times) }, async () => {
    const grant = await rates.enter('vk_a', limits);
    await grant.addTokens(limits, 10);
  });
  const passed = (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled');
  console.log(`passed ${passed.length}`);
  setInterval(() => {}, 60_000);
});
