import { expect, it } from 'vitest';
import { Histogram } from '../../src/telemetry/metric-histogram.ts';

const linesOf = (histogram: Histogram): string[] =>
  [...histogram.samples()].map(([suffix, labels, value]) =>
    `${suffix} ${Object.values(labels).join(' ')} ${value}`.replace('  ', ' '),
  );

it('counts a value in the first bucket whose bound is not below it, and in all that follow', () => {
  const histogram = new Histogram([0.5, 1, 2]);
  const record = histogram.recorder({});
  for (const value of [0, 0.5, 0.6, 1, 5]) record(value);
  expect(linesOf(histogram)).toEqual([
    '_bucket 0.5 2',
    '_bucket 1 4',
    '_bucket 2 4',
    '_bucket +Inf 5',
    '_sum 7.1',
    '_count 5',
  ]);
});

it('has one series for two recorders of the same labels, and none before the first value', () => {
  const histogram = new Histogram([1]);
  const [one, same, other] = [
    histogram.recorder({ model: 'a' }),
    histogram.recorder({ model: 'a' }),
    histogram.recorder({ model: 'b' }),
  ];
  expect(linesOf(histogram)).toEqual([]);
  one(1);
  same(1);
  expect(linesOf(histogram)).toEqual(['_bucket 1 a 2', '_bucket +Inf a 2', '_sum a 2', '_count a 2']);
  other(3);
  expect(linesOf(histogram).slice(4)).toEqual(['_bucket 1 b 0', '_bucket +Inf b 1', '_sum b 3', '_count b 1']);
});
