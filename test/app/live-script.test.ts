/** The script of a running offline Bedrock: a file that changes, breaks, and comes back. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openLiveScript } from '../../src/app/live-script.ts';
import { MAX_SCRIPT_BYTES } from '../../src/upstream/offline/script.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const RULE = { answer: { text: 'x' } };

async function makeFile(text: string): Promise<string> {
  const file = join(await makeTemporaryFolder(), 'script.json');
  writeFileSync(file, text);
  return file;
}

it('takes the script anew when its file is replaced; one that is wrong replaces nothing, and is told with its place', async () => {
  const file = await makeFile(JSON.stringify({ rules: [RULE] }));
  const put = (content: unknown): void => {
    writeFileSync(`${file}.new`, JSON.stringify(content));
    renameSync(`${file}.new`, file);
  };
  const told: string[] = [];
  const script = await openLiveScript(file, (words) => told.push(words), 5);
  onTestFinished(() => script.close());
  put({ rules: [RULE, RULE] });
  await vi.waitFor(() => expect(script.find().ruleCount).toBe(2));
  put({ rules: [{ answr: {} }] });
  await vi.waitFor(() => expect(told).toHaveLength(2));
  expect(script.find().ruleCount).toBe(2);
  expect(told).toEqual([
    'The script was taken anew: its file has changed.',
    'The script has changed, but that of before stays in force: In the file of --script, rules[0].answr is not known ' +
      'here. Did you mean answer? Known are when, answer, times.',
  ]);
});

it.each([
  {
    name: 'is missing',
    file: async () => join(await makeTemporaryFolder(), 'none.json'),
    says: /cannot be read \(ENOENT\)/,
  },
  { name: 'is a folder', file: makeTemporaryFolder, says: /cannot be read \(EISDIR\)/ },
  { name: 'is too long', file: () => makeFile(' '.repeat(MAX_SCRIPT_BYTES + 1)), says: /is longer than/ },
])('refuses a file that $name', async ({ file, says }) => {
  await expect(openLiveScript(await file(), () => {})).rejects.toMatchObject({
    code: 'ERR_BAD_OPTION',
    message: expect.stringMatching(says),
  });
});
