/** `start --print-config`: each setting, where it comes from, and no secret. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openCli } from '../../helpers/cli.ts';

it('says of each setting where it comes from, the strongest first, and shows no secret', async () => {
  const cli = await openCli();
  const folder = join(cli.home, '.config', 'bedrock-proxy');
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'bedrock-proxy.json');
  await writeFile(file, '{"port": 4100, "region": "eu-west-1", "workers": "2"}');
  const env = {
    BEDROCK_PROXY_PORT: '4200',
    BEDROCK_PROXY_WORKERS: '3',
    BEDROCK_PROXY_MASTER_KEY: 'sk-master-of-some-length',
    XDG_CONFIG_HOME: join(cli.home, '.config'),
  };
  const args = ['start', '--print-config', '--port', '4300', '--endpoint-url', 'http://127.0.0.1:9'];
  const { code, stdout, stderr } = await cli.run([...args, '--json'], env);
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toMatchObject({
    port: { value: '4300', from: '--port' },
    workers: { value: '3', from: 'BEDROCK_PROXY_WORKERS' },
    region: { value: 'eu-west-1', from: file },
    host: { value: ['localhost'], from: 'default' },
    'log-format': { value: 'pretty', from: 'default' },
    'master key': { value: '(set)', from: 'BEDROCK_PROXY_MASTER_KEY' },
  });
  expect(stdout).not.toContain('sk-master');
  const table = (await cli.run(args, env)).stdout;
  expect(table).toMatch(/^OPTION +VALUE +FROM\nport +4300 +--port\nhost +localhost +default\nregion +eu-west-1 +\//);
  expect((await cli.run(['start', '--print-config', '--port', 'x'], env)).code).toBe(2);
});

it('shows a Redis that counts rates without its password, and none of another program', async () => {
  const cli = await openCli();
  const args = ['start', '--print-config', '--json'];
  const foreign = await cli.run(args, { REDIS_URL: 'redis://:canary@rails:6379' });
  expect(JSON.parse(foreign.stdout)).not.toHaveProperty('redis-url');
  const ours = await cli.run(args, { BEDROCK_PROXY_REDIS_URL: 'rediss://:canary@redis.example:6380' });
  expect(JSON.parse(ours.stdout)).toMatchObject({ 'redis-url': { value: 'rediss://…@redis.example:6380' } });
  expect(foreign.stdout + ours.stdout).not.toContain('canary');
});
