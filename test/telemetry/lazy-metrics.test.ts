import { expect, it } from 'vitest';
import { createLazyMetrics } from '../../src/telemetry/lazy-metrics.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

const valueOf = (body: string, name: string): string | undefined =>
  new RegExp(`^bedrock_proxy_${name}(?:\\{[^}]*\\})? (.*)$`, 'm').exec(body)?.[1];

it('misses nothing that happened before they were there', async () => {
  const late = createLazyMetrics(async () => createMetrics());
  const [over, underWay] = [aFinishedRecord({}), aFinishedRecord({})];
  late.begin(over);
  late.begin(underWay);
  late.streamBegan(underWay);
  late.observe(over);
  const { body } = await late.render();
  expect(['requests_total', 'requests_in_flight', 'streams_in_flight'].map((name) => valueOf(body, name))).toEqual([
    '1',
    '1',
    '1',
  ]);
  late.observe(underWay);
  const after = (await late.render()).body;
  expect([valueOf(after, 'requests_total'), valueOf(after, 'requests_in_flight')]).toEqual(['2', '0']);
});

it('are opened once, and keep nothing where they cannot be', async () => {
  let opened = 0;
  const late = createLazyMetrics(async () => {
    opened += 1;
    throw new Error('no library');
  });
  late.begin(aFinishedRecord({}));
  await expect(late.load()).rejects.toThrow('no library');
  await expect(late.render()).rejects.toThrow('no library');
  late.observe(aFinishedRecord({}));
  expect(opened).toBe(1);
});
