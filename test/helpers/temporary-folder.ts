/** A folder of a single test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Makes an empty folder for the test that runs (or its hook), and removes it after it with all that it holds. */
export async function makeTemporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
