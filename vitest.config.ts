// How `npm test` runs the tests: every test/**/*.test.ts, files in parallel, each with its own process.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { SkippedReporter } from './test/helpers/skipped-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Much of the time is waiting. Vitest's own number is one less than there are cores: on two, one file after another.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    reporters: ['default', new SkippedReporter()],
    tags: [{ name: 'slow', description: 'left out of `npm test`, part of `npm test -- --all`' }],
    // Texts of commands say `npx` under npx: here they are the same however the tests are run.
    env: { npm_command: '', npm_lifecycle_event: '' },
    // Real sockets and child processes on a busy two-core machine; a test that hangs still ends.
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
