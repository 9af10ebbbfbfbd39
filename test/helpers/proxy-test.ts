/**
 * The fixture of tests that need a whole proxy: each test gets a fresh one, which is checked and closed after it,
 * whatever the test did. No test file starts, checks or closes one by hand.
 */
import { expect, onTestFinished, test, type TestAPI } from 'vitest';
import { startProxy, type Testbed, type TestbedOptions } from './testbed.ts';

/** What a test file takes from `proxyTest`. */
export interface ProxyTest {
  /** As Vitest's `it`. Before each test, and before its hooks, a proxy is started. */
  readonly it: TestAPI<{ testbed: Testbed }>;
  /** The proxy of the test that runs. Throws outside of tests and their hooks. */
  readonly testbed: Testbed;
}

/**
 * Starts a proxy with these options for each test of a file, or of a `describe` that takes its `it` from here. After
 * the test it expects that the fake upstream saw no fault (a bad signature, a malformed request), and closes
 * everything.
 */
export function proxyTest(options: TestbedOptions = {}): ProxyTest {
  let current: Testbed | undefined;
  const testbed = new Proxy({} as Testbed, {
    get: (_target, name) => {
      if (current === undefined) throw new Error('No proxy runs: `testbed` is for tests and their hooks.');
      return Reflect.get(current, name) as unknown;
    },
  });
  const it = test.extend<{ testbed: Testbed }>({
    testbed: [
      // Vitest reads which fixtures a fixture needs from the pattern of its first parameter.
      // oxlint-disable-next-line no-empty-pattern
      async ({}, use) => {
        current = await startProxy(options);
        await use(current);
        await checkAndClose(current).finally(() => (current = undefined));
      },
      { auto: true },
    ],
  });
  return { it, testbed };
}

/**
 * Starts a proxy for the test that runs, if its options are the test's own; checked and closed after it in the same
 * way.
 */
export async function openProxy(options: TestbedOptions = {}): Promise<Testbed> {
  const testbed = await startProxy(options);
  onTestFinished(() => checkAndClose(testbed));
  return testbed;
}

async function checkAndClose(testbed: Testbed): Promise<void> {
  try {
    expect(testbed.upstream.failures).toEqual([]);
  } finally {
    await testbed[Symbol.asyncDispose]();
  }
}
