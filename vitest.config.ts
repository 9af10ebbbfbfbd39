// How `npm test` runs the tests: every test/**/*.test.ts, files in parallel, each with its own process.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Real sockets and child processes on a busy two-core machine; a test that hangs still ends.
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
