import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { converse, recording, say } from '../../cassette/requests.ts';
import { openCli } from '../../helpers/cli.ts';

const RECORDING = recording('001', converse(say('Hello.')), { body: { json: { a: 1 } } }).recording;

it('prints what is wrong with a cassette, and ends with 1', async () => {
  const cli = await openCli();
  const folder = join(cli.home, 'cassette');
  mkdirSync(join(folder, 'one'), { recursive: true });
  writeFileSync(join(folder, 'cassette.json'), JSON.stringify({ version: 1, recorded: '2026-01-01' }));
  writeFileSync(join(folder, '001.json'), JSON.stringify(RECORDING));
  expect(await cli.run(['cassette', 'check', folder])).toEqual({
    code: 0,
    stdout: '1 recording, no problem\n',
    stderr: '',
  });
  const old = await cli.run(['cassette', 'check', folder, '--max-age', '30d']);
  expect([old.code, old.stdout]).toEqual([
    1,
    expect.stringMatching(/cassette\.json {2}age +was recorded \d+ days ago/),
  ]);

  writeFileSync(join(folder, 'one', '.last-run.json'), JSON.stringify({ unused: ['001'] }));
  expect((await cli.run(['cassette', 'check', folder])).code).toBe(0);
  expect((await cli.run(['cassette', 'check', folder, '--strict'])).code).toBe(1);

  writeFileSync(join(cli.home, 'outside'), `AKIA${'Q7RT2MZX4KWN5PLB'}`);
  symlinkSync(join(cli.home, 'outside'), join(folder, 'link.json'));
  const { code, stdout } = await cli.run(['cassette', 'check', folder, '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    recordings: 1,
    problems: 1,
    findings: [{ file: 'link.json', kind: 'broken', message: 'is a link, which is not followed' }, { kind: 'unused' }],
  });
});

it('asks the bytes of a response for their hash', async () => {
  const cli = await openCli();
  const folder = join(cli.home, 'cassette');
  mkdirSync(folder);
  const check = async (sha256: string): Promise<string> => {
    const response = { ...RECORDING.response, bytes: 7, sha256 };
    writeFileSync(join(folder, '001.json'), JSON.stringify({ ...RECORDING, response }));
    return (await cli.run(['cassette', 'check', folder])).stdout;
  };
  expect(await check(createHash('sha256').update('{"a":1}').digest('hex'))).toBe('1 recording, no problem\n');
  expect(await check('0'.repeat(64))).toContain('its response is not the one of its sha256');
});

it('refuses what is no directory, and an age that is none', async () => {
  const cli = await openCli();
  expect(await cli.run(['cassette', 'check', join(cli.home, 'none')])).toMatchObject({ code: 2, stdout: '' });
  expect(await cli.run(['cassette', 'check', cli.home, '--max-age', 'old'])).toMatchObject({ code: 2, stdout: '' });
});
