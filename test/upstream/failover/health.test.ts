import { describe, expect, it } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { UpstreamHealth } from '../../../src/upstream/failover/health.ts';

function open() {
  let now = 1_000_000;
  const health = new UpstreamHealth(monotonicClock(() => now));
  const failOnce = (retryAfterMs?: number): void => {
    const ticket = health.begin({ model: 'm' });
    ticket.fail('model', retryAfterMs);
    ticket.end();
  };
  return { health, failOnce, pass: (ms: number) => void (now += ms) };
}

describe('an upstream that throttles', () => {
  it('rests for one model, a second at first', () => {
    const { health, failOnce, pass } = open();
    failOnce();
    expect([health.readinessOf({ model: 'm' }), health.readinessOf({ model: 'other' })]).toEqual(['resting', 'ready']);
    pass(999);
    expect(health.readinessOf({ model: 'm' })).toBe('resting');
    pass(1);
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('rests twice as long with each failure after a rest, and a minute at most', () => {
    const { health, failOnce, pass } = open();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      failOnce();
      pass(seconds * 1000 - 1);
      expect(health.readinessOf({ model: 'm' })).toBe('resting');
      pass(1);
      expect(health.readinessOf({ model: 'm' })).toBe('due');
    }
  });

  it('rests for as long as it asks for', () => {
    const { health, failOnce, pass } = open();
    failOnce(30_000);
    pass(29_999);
    expect(health.readinessOf({ model: 'm' })).toBe('resting');
    pass(1);
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('counts requests once that were under way together', () => {
    const { health, pass } = open();
    const tickets = Array.from({ length: 50 }, () => health.begin({ model: 'm' }));
    pass(10);
    for (const ticket of tickets) {
      ticket.fail('model', undefined);
      ticket.end();
    }
    pass(1_000);
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('is tried by one request, whose success ends the rest', () => {
    const { health, failOnce, pass } = open();
    failOnce();
    pass(1_000);
    const trial = health.begin({ model: 'm' });
    expect(health.readinessOf({ model: 'm' })).toBe('resting');
    trial.succeed();
    expect(health.readinessOf({ model: 'm' })).toBe('ready');
    trial.end();
    failOnce();
    pass(1_000);
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('is due again if the request that tried it ended without a word', () => {
    const { health, failOnce, pass } = open();
    failOnce();
    pass(1_000);
    health.begin({ model: 'm' }).end();
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('is due again if the request that tries it takes long to say a word', () => {
    const { health, failOnce, pass } = open();
    failOnce();
    pass(1_000);
    health.begin({ model: 'm' });
    pass(9_999);
    expect(health.readinessOf({ model: 'm' })).toBe('resting');
    pass(1);
    expect(health.readinessOf({ model: 'm' })).toBe('due');
  });

  it('goes on resting when something that began before succeeds', () => {
    const { health, failOnce, pass } = open();
    const early = health.begin({ model: 'm' });
    pass(1);
    failOnce();
    early.succeed();
    expect(health.readinessOf({ model: 'm' })).toBe('resting');
  });
});

it('rests as a whole if it has no credentials', () => {
  const { health } = open();
  const ticket = health.begin({ model: 'm' });
  ticket.fail('upstream', undefined);
  ticket.end();
  expect([health.readinessOf({ model: 'm' }), health.readinessOf({ model: 'other' })]).toEqual(['resting', 'resting']);
  expect(health.describe()).toEqual({ readiness: 'resting', restingModels: 0, restMs: 1_000 });
});

it('rests at one host if that cannot be reached, or throttles', () => {
  const { health } = open();
  const [here, there] = ['https://here', 'https://there'];
  for (const trouble of ['host', 'model'] as const) {
    const ticket = health.begin({ origin: here, model: 'm' });
    ticket.fail(trouble, undefined);
    ticket.end();
    const asked = [here, there].map((origin) => health.readinessOf({ origin, model: 'm' }));
    expect(asked).toEqual(['resting', 'ready']);
  }
  expect(health.describe()).toEqual({ readiness: 'resting', restingModels: 1, restMs: 1_000 });
});

it('rests for one caller alone if it fails at what that sends', () => {
  const { health } = open();
  const ticket = health.begin({ model: 'm', owner: 'mean' });
  ticket.fail('caller', undefined);
  ticket.end();
  const asked = ['mean', 'other'].map((owner) => health.readinessOf({ model: 'm', owner }));
  expect(asked).toEqual(['resting', 'ready']);
});

it('counts what is under way', () => {
  const { health } = open();
  const [one, two] = [health.begin({ model: 'a' }), health.begin({ model: 'b' })];
  expect(health.inFlight).toBe(2);
  one.end();
  two.end();
  expect(health.inFlight).toBe(0);
});

it('remembers no more models than two hundred', () => {
  const { health } = open();
  for (let index = 0; index < 1_000; index += 1) {
    const ticket = health.begin({ model: `m${index}` });
    ticket.fail('model', undefined);
    ticket.end();
  }
  expect(health.describe().restingModels).toBe(200);
  expect(health.readinessOf({ model: 'm999' })).toBe('resting');
});
