import { expect, it } from 'vitest';
import { StepBatches } from '../../../src/store/postgres/step-batches.ts';

/** Each round trip is ended by the test. */
function open(): {
  batches: StepBatches<number, number>;
  trips: { steps: readonly number[]; end(error?: Error): void }[];
} {
  const trips: { steps: readonly number[]; end(error?: Error): void }[] = [];
  const batches = new StepBatches<number, number>(
    (steps) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error): void =>
          error === undefined ? resolve(steps.map((step) => -step)) : reject(error);
        trips.push({ steps, end });
      }),
  );
  return { batches, trips };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('takes the first step at once, and together what comes meanwhile, by name', async () => {
  const { batches, trips } = open();
  const found = [1, 2, 3].map((step) => batches.add('a', step));
  found.push(batches.add('b', 4));
  expect(trips.map(({ steps }) => steps)).toEqual([[1], [4]]);
  trips[0]?.end();
  expect(await found[0]).toBe(-1);
  await turn();
  expect(trips[2]?.steps).toEqual([2, 3]);
  for (const { end } of trips) end();
  expect(await Promise.all(found)).toEqual([-1, -2, -3, -4]);
  await turn();
  void batches.add('a', 5);
  expect(trips[3]?.steps).toEqual([5]);
});

it('lets a round trip fail for its own steps alone, and takes no more than 200', async () => {
  const { batches, trips } = open();
  const first = batches.add('a', 0);
  const others = Array.from({ length: 250 }, (_, index) => batches.add('a', index));
  trips[0]?.end(new Error('broken'));
  await expect(first).rejects.toThrow('broken');
  await turn();
  trips[1]?.end();
  await turn();
  trips[2]?.end();
  expect(await Promise.all(others)).toHaveLength(250);
  expect(trips.map(({ steps }) => steps.length)).toEqual([1, 200, 50]);
});
