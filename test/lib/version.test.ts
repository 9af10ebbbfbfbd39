import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readVersion } from '../../src/lib/version.ts';

it('reads the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(readVersion()).toBe(version);
  expect(readVersion()).toMatch(/^\d+\.\d+\.\d+/);
});
