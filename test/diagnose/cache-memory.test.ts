import { describe, expect, it } from 'vitest';
import { CacheDoctor } from '../../src/diagnose/cache-doctor.ts';
import { converse, longText, POINT, SONNET } from './simulated-cache.ts';

const SCOPE = { model: SONNET, region: 'us-east-1', upstream: '' };
const ENDED = { status: 200, errorMessage: undefined, price: undefined };

describe('what the doctor remembers', () => {
  it('stays within its bounds, whatever comes', () => {
    const doctor = new CacheDoctor();
    for (let index = 0; index < 3_000; index += 1) {
      const body = Buffer.from(
        JSON.stringify(converse([`${index} ${longText('a', 100)}`, POINT], ...manyTurns(index))),
      );
      doctor.sent({
        id: `r${index}`,
        caller: `k${index % 7}`,
        scope: SCOPE,
        operation: 'Converse',
        body,
        sentAtMs: index,
      });
      doctor.ended(`r${index}`, { ...ENDED, usage: { inputTokens: 5, cacheWriteTokens: 2_000 } });
    }
    const { prompts, blocks, entries, printBytes } = doctor.sizes;
    expect(prompts).toBeLessThanOrEqual(1_000);
    expect(blocks).toBeLessThanOrEqual(100_000);
    expect(entries).toBeLessThanOrEqual(20_000);
    expect(printBytes).toBeLessThanOrEqual(24 * 1024 * 1024);
    expect(doctor.verdictOf('r0')).toBeUndefined();
    expect(doctor.verdictOf('r2999')?.verdict).toBe('changed');
  });

  it('holds nothing of what stood in a prompt, and has another key in each process', () => {
    const secrets = ['correct-horse-battery', '2026-11-28T09:00:00Z', 'a secret role'];
    const prompt = converse([`${secrets.join(' ')} ${longText('a')}`, POINT], 'hello');
    const messages = [{ role: 'a secret role', content: [{ text: 'hello' }] }];
    const body = Buffer.from(JSON.stringify({ ...prompt, messages }));
    const doctors = [new CacheDoctor(), new CacheDoctor()];
    const seen = doctors.map((doctor) => {
      doctor.sent({ id: 'r', caller: 'k', scope: SCOPE, operation: 'Converse', body, sentAtMs: 0 });
      doctor.ended('r', { ...ENDED, usage: { inputTokens: 5, cacheWriteTokens: 2_000 } });
      return JSON.stringify([doctor.verdictOf('r'), everythingIn(doctor)]);
    });
    for (const text of seen) for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it('is not asked of what it was not told, nor of what is no prompt', () => {
    const doctor = new CacheDoctor();
    expect(doctor.ended('nobody', { ...ENDED, usage: undefined })).toBeUndefined();
    const sent = { id: 'r', caller: 'k', scope: SCOPE, sentAtMs: 0 };
    for (const body of [
      '',
      '[]',
      '{"inputText":"hello"}',
      '{"messages":',
      '{"messages":[]}',
      '{"messages":7,"system":{}}',
    ]) {
      expect(doctor.sent({ ...sent, operation: 'InvokeModel', body: Buffer.from(body) })).toBe(false);
    }
  });
});

function manyTurns(index: number): string[] {
  return Array.from({ length: (index % 40) + 1 }, (_, at) => `turn ${at} of ${index % 50}`);
}

/** Private fields are out of reach; what the doctor can be made to say is all there is. */
function everythingIn(doctor: CacheDoctor): unknown {
  return Object.getOwnPropertyNames(doctor).map((name) => Reflect.get(doctor, name) as unknown);
}
