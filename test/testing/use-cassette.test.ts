/** `useCassette` as a project has it: what is recorded is played, and what is not fails the test that asked for it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openWorkplace, run, type Workplace } from '../helpers/program.ts';
import { installPackages, runVitest } from '../helpers/sample-project.ts';

const ASK = `
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
const client = new BedrockRuntimeClient({});
export async function ask(text) {
  const messages = [{ role: 'user', content: [{ text }] }];
  const { output } = await client.send(new ConverseCommand({ modelId: 'amazon.nova-lite-v1:0', messages }));
  return output.message.content[0].text;
}
`;
const RECORD = `import { ask } from './ask.mjs';
await ask('Hello');
await ask('Never again');
`;
const HEAD = `
import { useCassette } from 'bedrock-proxy/vitest';
import { expect, test } from 'vitest';
import { ask } from './ask.mjs';
`;
const TESTS = `${HEAD}
useCassette('greetings');
test('plays what was recorded', async () => expect(await ask('Hello')).toContain('you said: Hello'));
test('is told of a miss that was caught', async () => {
  await ask('Hullo').catch(() => {});
});
test('is not told of the misses of others, nor asked which it used', async () => {
  expect(await ask('Hello')).toContain('you said: Hello');
});
`;

const STRICT = `${HEAD}
useCassette('greetings', { strict: true });
test('uses one of two', async () => expect(await ask('Hello')).toContain('you said: Hello'));
`;

/** A project with a cassette of two recordings, and with these tests. */
async function openProject(place: Workplace, tests: string): Promise<string> {
  const project = join(place.folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'ask.mjs'), ASK);
  writeFileSync(join(project, 'record.mjs'), RECORD);
  writeFileSync(join(project, 'greetings.test.mjs'), tests);
  installPackages(project);
  const cassette = join(project, 'cassettes', 'greetings');
  const recording = ['exec', '--offline', '--cassette', cassette, '--cassette-mode', 'record', '--'];
  const { code } = await run([...recording, process.execPath, join(project, 'record.mjs')], place.environment);
  expect(code).toBe(0);
  return project;
}

it('plays a cassette, and fails a test whose program has caught a miss', async () => {
  await using place = await openWorkplace();
  const { code, report } = await runVitest(await openProject(place, TESTS), place.environment);
  const failures = report.testResults[0]?.assertionResults.map(({ failureMessages }) => failureMessages.join());
  const missed = /No recording for Converse amazon\.nova-lite-v1:0; nearest 001-\S+: .*"Hullo"/;
  expect(failures).toEqual(['', expect.stringMatching(missed), '']);
  expect(code).toBe(1);
});

it('fails the file if recordings were not used, in strict mode', async () => {
  await using place = await openWorkplace();
  const { code, output, report } = await runVitest(await openProject(place, STRICT), place.environment);
  expect(report.testResults[0]?.assertionResults).toMatchObject([{ failureMessages: [] }]);
  expect(output).toContain('The cassette was not played as it is');
  expect(output).toMatch(/Not played: 002-\S+/);
  expect(code).toBe(1);
});
