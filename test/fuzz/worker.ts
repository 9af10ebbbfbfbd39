/**
 * One target in a thread of its own. Each input stands in shared memory before it runs, so that the main thread can say
 * which one never came to an end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createRandom } from '../helpers/random.ts';
import { fuzz } from './engine.ts';
import { findSeeds, FUZZ_TARGETS } from './seeds.ts';
import { type FuzzWork, SHARED_HEAD_BYTES } from './shared.ts';

const { name, seed, limits, shared } = workerData as FuzzWork;
const target = FUZZ_TARGETS.find((candidate) => candidate.name === name);
if (target === undefined) throw new Error(`no such target: ${name}`);
const counts = new Int32Array(shared, 0, 2);
const bytes = new Uint8Array(shared, SHARED_HEAD_BYTES);

const report = await fuzz(target, {
  seeds: findSeeds(target),
  random: createRandom(seed),
  limits,
  onInput: (input) => {
    bytes.set(input.subarray(0, bytes.length));
    counts[1] = Math.min(input.length, bytes.length);
    counts[0] = (counts[0] ?? 0) + 1;
  },
});
// No window has to be told from another here.
// oxlint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.postMessage(report);
