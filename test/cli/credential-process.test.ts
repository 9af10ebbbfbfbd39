import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromIni } from '@aws-sdk/credential-provider-ini';
import { expect, it } from 'vitest';
import { openCli } from '../helpers/cli.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));

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

it('prints the JSON of AWS and nothing else', async () => {
  const cli = await openCli();
  const { code, stdout, stderr } = await cli.run(['credential-process']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ Version: 1, AccessKeyId: 'anything', SecretAccessKey: 'anything' });
});

it('prints nothing on stdout where there is no such key', async () => {
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
