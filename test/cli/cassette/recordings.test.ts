/** Looks at recordings, and adds those of a file: as their commands print it. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openCli } from '../../helpers/cli.ts';
import { eventFrame } from '../../helpers/event-frames.ts';

const CONVERSE = {
  version: 1,
  request: {
    service: 'bedrock-runtime',
    operation: 'ConverseStream',
    method: 'POST',
    path: '/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream',
    headers: [
      ['content-type', 'application/json'],
      ['x-my-secret', 'hunter2'],
    ],
    body: { json: { messages: [{ role: 'user', content: [{ text: 'Write to ann@example.org.' }] }] } },
  },
  response: {
    status: 200,
    headers: [['content-type', 'application/vnd.amazon.eventstream']],
    firstByteMs: 611.2,
    chunks: [
      [0, { base64: eventFrame('messageStart', { role: 'assistant' }).toString('base64') }],
      [29.6, { base64: eventFrame('messageStop', { stopReason: 'end_turn' }).toString('base64') }],
    ],
    end: 'complete',
  },
};
const THROTTLED = {
  version: 1,
  request: { ...CONVERSE.request, operation: 'Converse', path: '/model/amazon.nova-lite-v1%3A0/converse' },
  response: {
    status: 429,
    headers: [['content-type', 'application/json']],
    firstByteMs: 5,
    body: { json: { message: 'Too many \u001b[31mrequests' } },
    end: 'complete',
  },
};

async function openCassette(...lines: readonly unknown[]): Promise<{ cli: Cli; folder: string; file: string }> {
  const cli = await openCli();
  const file = join(cli.home, 'exchanges.ndjson');
  writeFileSync(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return { cli, folder: join(cli.home, 'cassette'), file };
}

type Cli = Awaited<ReturnType<typeof openCli>>;

it('imports exchanges as if they had just been recorded: scrubbed, with frames and a hash', async () => {
  const { cli, folder, file } = await openCassette(CONVERSE, '', THROTTLED);
  expect(await cli.run(['cassette', 'import', folder, file])).toEqual({ code: 0, stdout: '2 imported\n', stderr: '' });
  const names = readdirSync(folder).toSorted();
  expect(names).toEqual([
    expect.stringMatching(/^001-converse-stream-claude-haiku-4-5-.*-[0-9a-f]{6}\.json$/),
    expect.stringMatching(/^002-converse-nova-lite-v1-0-[0-9a-f]{6}\.json$/),
    'cassette.json',
  ]);
  const text = readFileSync(join(folder, names[0] ?? ''), 'utf8');
  expect(text).not.toMatch(/hunter2|ann@example/);
  expect(JSON.parse(text).response).toMatchObject({
    firstByteMs: 611.2,
    frames: [
      [0, 'messageStart', { role: 'assistant' }],
      [29.6, 'messageStop', { stopReason: 'end_turn' }],
    ],
    end: 'complete',
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(await cli.run(['cassette', 'check', folder])).toMatchObject({ code: 0 });
  // Again: nothing is replaced.
  await cli.run(['cassette', 'import', folder, file]);
  expect(readdirSync(folder)).toHaveLength(5);
});

it('lists what is there, and whether it is what was recorded', async () => {
  const { cli, folder, file } = await openCassette(CONVERSE, THROTTLED);
  await cli.run(['cassette', 'import', folder, file]);
  const [first = '', second = ''] = readdirSync(folder).toSorted();
  const { stdout } = await cli.run(['cassette', 'list', folder]);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['NAME', 'OPERATION', 'MODEL', 'STATUS', 'END', 'BYTES', 'TIME'],
    [
      first.slice(0, -5),
      'ConverseStream',
      expect.stringContaining('haiku'),
      '200',
      'complete',
      expect.anything(),
      expect.stringMatching(/64[01]/),
    ],
    [second.slice(0, -5), 'Converse', 'amazon.nova-lite-v1:0', '429', 'complete', expect.anything(), expect.anything()],
    [''],
  ]);

  const edit = (name: string, change: (text: string) => string): void => {
    writeFileSync(join(folder, name), change(readFileSync(join(folder, name), 'utf8')));
  };
  edit(first, (text) => text.replace('end_turn', 'max_tokens'));
  edit(second, (text) => text.replace(/,\s*"sha256": "[0-9a-f]+"/, ''));
  const listed = await cli.run(['cassette', 'list', folder, '--json']);
  expect(JSON.parse(listed.stdout)).toMatchObject([{ proof: 'broken' }, { proof: 'edited' }]);
  const checked = await cli.run(['cassette', 'check', folder, '--json']);
  expect(JSON.parse(checked.stdout).findings).toEqual([
    { file: first, kind: 'hash', message: expect.stringContaining('sha256') },
  ]);
});

it('shows one of them, safe for a terminal', async () => {
  const { cli, folder, file } = await openCassette(CONVERSE, THROTTLED);
  await cli.run(['cassette', 'import', folder, file]);
  const { stdout } = await cli.run(['cassette', 'show', folder, '1']);
  expect(stdout).toMatch(/operation +bedrock-runtime ConverseStream\n/);
  expect(stdout).toMatch(/^ +0\.0 ms {2}messageStart {2}\{"role":"assistant"\}$/m);
  expect(stdout).toMatch(/^ +29\.6 ms {2}messageStop {2}/m);
  const throttled = await cli.run(['cassette', 'show', folder, '002-converse']);
  expect(throttled.stdout).toMatch(/status +429, complete/);
  expect(throttled.stdout).not.toContain('\u001b');
});

it('shows it as one line of JSON, which an import reads', async () => {
  const { cli, folder, file } = await openCassette(CONVERSE);
  await cli.run(['cassette', 'import', folder, file]);
  const { stdout } = await cli.run(['cassette', 'show', folder, '1', '--json']);
  writeFileSync(file, stdout);
  const other = join(cli.home, 'other');
  expect(await cli.run(['cassette', 'import', other, file, '--json'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('"imported": 1'),
  });
  const [again] = JSON.parse((await cli.run(['cassette', 'list', other, '--json'])).stdout);
  const [once] = JSON.parse((await cli.run(['cassette', 'list', folder, '--json'])).stdout);
  expect(again).toEqual({ ...once, name: again.name });
});

it('imports what is right of a file, and says of each line that is not what is wrong with it', async () => {
  const blob = { ...THROTTLED, response: { ...THROTTLED.response, body: { blob: `${'0'.repeat(64)}.bin` } } };
  const { cli, folder, file } = await openCassette('no JSON', { version: 2 }, CONVERSE, blob, {
    ...THROTTLED,
    response: { ...THROTTLED.response, sha256: '0'.repeat(64) },
  });
  const { code, stdout, stderr } = await cli.run(['cassette', 'import', folder, file]);
  expect([code, stdout]).toEqual([1, '1 imported, 4 not\n']);
  for (const line of [1, 2, 4, 5]) expect(stderr).toContain(`line ${line}`);
});

it('refuses what is not there, and what leads elsewhere', async () => {
  const { cli, folder, file } = await openCassette(CONVERSE);
  expect(await cli.run(['cassette', 'import', folder, join(cli.home, 'none')])).toMatchObject({ code: 2, stdout: '' });
  expect(readdirSync(cli.home)).not.toContain('cassette');
  expect(await cli.run(['cassette', 'list', folder])).toMatchObject({ code: 2, stdout: '' });
  await cli.run(['cassette', 'import', folder, file]);
  expect(await cli.run(['cassette', 'show', folder, '7'])).toMatchObject({ code: 2, stdout: '' });

  writeFileSync(join(cli.home, 'outside.json'), JSON.stringify(CONVERSE));
  symlinkSync(join(cli.home, 'outside.json'), join(folder, '007-outside.json'));
  expect(await cli.run(['cassette', 'show', folder, '7'])).toMatchObject({ code: 2, stdout: '' });
  mkdirSync(join(cli.home, 'away'));
  symlinkSync(join(cli.home, 'away'), join(folder, 'away'));
  expect(await cli.run(['cassette', 'show', folder, 'away/'])).toMatchObject({ code: 2, stdout: '' });
});
