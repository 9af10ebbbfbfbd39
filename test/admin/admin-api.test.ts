import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { openAdmin } from '../helpers/open-admin.ts';

/** What a file loads before anything runs, its own imports of ours included. */
function loadsAtOnce(file: URL, seen = new Set<string>()): Set<string> {
  if (seen.has(file.href)) return seen;
  seen.add(file.href);
  const text = readFileSync(fileURLToPath(file), 'utf8');
  for (const [, specifier = ''] of text.matchAll(/^import (?!type\b)[^;]*?from '([^']+)';/gm)) {
    if (specifier.startsWith('.')) loadsAtOnce(new URL(specifier, file), seen);
    else seen.add(specifier);
  }
  return seen;
}

function packagesOf(name: string): string[] {
  const loaded = [...loadsAtOnce(new URL(`../../src/admin/${name}`, import.meta.url))];
  return loaded.filter((each) => !each.startsWith('file:') && !each.startsWith('node:'));
}

it('loads nothing that validates before the first request of the admin API', () => {
  expect(packagesOf('admin-api.ts')).toEqual([]);
  expect(packagesOf('router.ts')).toEqual(['zod']);
});

it('serves admin requests that arrive together, the first ones included', async () => {
  const { call } = await openAdmin();
  const responses = await Promise.all(Array.from({ length: 5 }, () => call('/key/generate', { body: {} })));
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(new Set(responses.map(({ json }) => json['key'])).size).toBe(5);
});
