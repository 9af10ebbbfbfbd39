/** `explain`: texts as tools print them, files, standard input, and requests of the ledger. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCli } from '../helpers/cli.ts';

const THROTTLED = 'Too many tokens, please wait before trying again.';

describe('explain', () => {
  it('explains a text, and says whether it helps to try again', async () => {
    const { stdout, code } = await (await openCli()).run(['explain', THROTTLED]);
    expect(code).toBe(0);
    expect(stdout).toContain(THROTTLED);
    expect(stdout).toContain('max_tokens');
    expect(stdout).toContain('It may go through if it is sent again later.');
  });

  it('reads the line that the AWS CLI and boto3 print', async () => {
    const line = `An error occurred (ThrottlingException) when calling the Converse operation: ${THROTTLED}`;
    const { stdout } = await (await openCli()).run(['explain', '--json', line]);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { type: 'ThrottlingException', operation: 'Converse', message: THROTTLED },
      explanation: { entry: 'tokens-per-minute', retry: 'later' },
    });
  });

  it.each([
    { name: 'of AWS', body: { __type: 'ThrottlingException', message: THROTTLED } },
    { name: 'of Anthropic', body: { type: 'error', error: { type: 'rate_limit_error', message: THROTTLED } } },
  ])('reads a file with the JSON $name', async ({ body }) => {
    const cli = await openCli();
    const path = join(cli.home, 'error.json');
    writeFileSync(path, JSON.stringify(body));
    const { stdout } = await cli.run(['explain', path, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ explanation: { entry: 'tokens-per-minute' } });
  });

  it('reads a text that is too long for the name of a file', async () => {
    const text = `ThrottlingException: ${THROTTLED} ${'x'.repeat(300)}`;
    const { stdout, code } = await (await openCli()).run(['explain', text]);
    expect(code).toBe(0);
    expect(stdout).toContain('max_tokens');
  });

  it('says so if nothing is known, and ends with 1', async () => {
    const { stdout, code } = await (await openCli()).run(['explain', 'The moon is in the wrong house.']);
    expect(code).toBe(1);
    expect(stdout).toContain('Nothing is known of this error.');
  });

  it('names a request that the ledger does not have', async () => {
    const { stderr, code } = await (await openCli()).run(['explain', '0198c5b2-7d1e-7b6a-9c0f-3f6f0f3b2a11']);
    expect(code).toBe(2);
    expect(stderr).toContain('There is no request 0198c5b2-7d1e-7b6a-9c0f-3f6f0f3b2a11 in the ledger.');
  });
});
