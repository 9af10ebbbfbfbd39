/** What the table of clients says of those that nothing runs. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { nameNotRun, renderTable, sumUp } from './report.ts';
import { NOT_RUN } from './rows.ts';

const DOCS = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');

it('names as skipped, with the reason, what has a recipe and is not tested', () => {
  const recipes = DOCS.split(/^## /m).filter((section) => /Not\s+tested\s+here/.test(section));
  const titles = recipes.map((section) => section.slice(0, section.indexOf('\n')));
  expect(titles).not.toEqual([]);
  expect(NOT_RUN.map(({ client }) => client)).toEqual(titles);
  const results = NOT_RUN.map(nameNotRun);
  const table = renderTable(results);
  for (const { client, reason } of NOT_RUN) expect(table).toContain(`- ${client}, by hand (call) skipped: ${reason}`);
  expect(sumUp(results).line).toBe(`0 passed, 0 failed, ${NOT_RUN.length} skipped`);
});
