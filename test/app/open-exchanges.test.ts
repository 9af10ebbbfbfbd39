/** What `inspect open` says of the exports that open elsewhere. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openExchanges } from '../../src/app/open-exchanges.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

it.each([
  {
    name: 'exchanges.har',
    text: '{"log":{"version":"1.2"}}',
    says: 'is a HAR, and no NDJSON.',
    hint: "browser's tools",
  },
  { name: 'exchanges.html', text: '<!doctype html>', says: 'is a web page, and no NDJSON.', hint: 'in a browser' },
])('says where $name opens', async ({ name, text, says, hint }) => {
  const path = join(await makeTemporaryFolder(), name);
  writeFileSync(path, text);
  await expect(openExchanges(path)).rejects.toMatchObject({
    message: `${path} ${says}`,
    hint: expect.stringContaining(hint),
  });
});
