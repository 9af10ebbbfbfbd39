import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromIni } from '@aws-sdk/credential-provider-ini';
import { expect, it } from 'vitest';
import { openCli } from '../../helpers/cli.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/bedrock-proxy.js', import.meta.url));

it('gives the AWS SDK the pair of a key, by a line in ~/.aws/config', async () => {
  const cli = await openCli();
  const minted = await cli.run(['key', 'generate', '--alias', 'alice', '--json']);
  const { key, access_key_id: accessKeyId } = JSON.parse(minted.stdout) as Record<string, string>;
  const configFilepath = join(cli.home, 'config');
  const command = `"${process.execPath}" "${LAUNCHER}" credential-process --key alice --db "${cli.databasePath}"`;
  await writeFile(configFilepath, `[profile proxy]\ncredential_process = ${command}\n`);
  const credentials = await fromIni({ profile: 'proxy', configFilepath, filepath: join(cli.home, 'none') })();
  expect(credentials).toMatchObject({ accessKeyId, secretAccessKey: key });
  expect(credentials.expiration).toBeUndefined();
});

it.each([
  { name: 'one that expires', make: ['key', 'update', 'alice', '--expires', '2099-12-30'] },
  { name: 'one that is blocked and let in again', make: ['key', 'unblock', 'alice'], end: undefined },
])('prints the end of a key, in seconds: $name', async ({ make, ...expected }) => {
  const cli = await openCli();
  await cli.run(['key', 'generate', '--alias', 'alice']);
  expect((await cli.run(make)).code).toBe(0);
  const { stdout } = await cli.run(['credential-process', '--key', 'alice']);
  const end = 'end' in expected ? undefined : '2099-12-31T00:00:00Z';
  expect((JSON.parse(stdout) as { Expiration?: string }).Expiration).toBe(end);
});

it('prints the end of a rotated key in its grace time, and none of the one that follows it', async () => {
  const cli = await openCli();
  const { stdout: made } = await cli.run(['key', 'generate', '--alias', 'alice', '--json']);
  const old = (JSON.parse(made) as { id: string }).id;
  await cli.run(['key', 'rotate', 'alice', '--grace', '10m']);
  const endOf = async (name: string): Promise<string | undefined> => {
    const { stdout } = await cli.run(['credential-process', '--key', name]);
    return (JSON.parse(stdout) as { Expiration?: string }).Expiration;
  };
  const leftMs = Date.parse((await endOf(old)) ?? '') - Date.now();
  expect(leftMs).toBeGreaterThan(9 * 60_000);
  expect(leftMs).toBeLessThanOrEqual(10 * 60_000);
  expect(await endOf('alice')).toBeUndefined();
});

it('prints the JSON of AWS and nothing else', async () => {
  const cli = await openCli();
  const { code, stdout, stderr } = await cli.run(['credential-process']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ Version: 1, AccessKeyId: 'anything', SecretAccessKey: 'anything' });
});

it('prints nothing on stdout if there is no such key', async () => {
  const cli = await openCli();
  const { code, stdout, stderr } = await cli.run(['credential-process', '--key', 'nobody']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('There is no key "nobody"');
});

it('shows in its help the lines for ~/.aws/config', async () => {
  const cli = await openCli();
  const { stdout } = await cli.run(['credential-process', '--help']);
  expect(stdout).toContain('credential_process = bedrock-proxy credential-process --key alice');
  expect(stdout).toContain('bedrock_runtime =\n  endpoint_url = http://localhost:4000/bedrock');
});
