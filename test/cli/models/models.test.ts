/** `models`: against the offline Bedrock, and against an upstream that does not list everything. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openCli } from '../../helpers/cli.ts';

const LISTS: Readonly<Record<string, object>> = {
  '/foundation-models': {
    modelSummaries: [
      { modelId: 'amazon.nova-lite-v1:0', modelName: 'Nova Lite', inferenceTypesSupported: ['ON_DEMAND'] },
      {
        modelId: 'anthropic.old-v1',
        modelName: 'Old\u001b[2J',
        inferenceTypesSupported: ['PROVISIONED'],
        modelLifecycle: { status: 'LEGACY' },
      },
    ],
  },
  '/inference-profiles?maxResults=1000': {
    inferenceProfileSummaries: [
      {
        inferenceProfileId: 'us.amazon.nova-lite-v1:0',
        type: 'SYSTEM_DEFINED',
        models: [{ modelArn: 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0' }],
      },
    ],
    nextToken: 'a/b',
  },
  '/inference-profiles?maxResults=1000&nextToken=a%2Fb': {
    inferenceProfileSummaries: [
      {
        inferenceProfileId: 'abc123',
        inferenceProfileName: 'billing',
        inferenceProfileArn: 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123',
        type: 'APPLICATION',
        models: [{ modelArn: 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0' }],
      },
    ],
  },
};

/** What `models` prints for an upstream that lists all of this but the refused paths. */
async function listFrom(args: readonly string[], refused: RegExp = /^$/) {
  const respond: RequestListener = ({ url = '' }, response) => {
    const isRefused = refused.test(url);
    response.writeHead(isRefused ? 403 : 200, isRefused ? { 'x-amzn-errortype': 'AccessDeniedException' } : {});
    response.end(JSON.stringify(isRefused ? { message: 'not authorized to do it' } : LISTS[url]));
  };
  const server = createServer(respond).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const env = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'us-east-1' };
  const cli = await openCli();
  return cli.spawn(['models', '--endpoint-url', `http://127.0.0.1:${port}`, ...args], { env }).ended;
}

describe('models', () => {
  it('tells ids, how they are called and what they cost, page by page', async () => {
    const { code, stdout, stderr } = await listFrom([]);
    expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['ID', 'CALLED', 'INPUT', 'OUTPUT', 'NAME'],
      ['amazon.nova-lite-v1:0', 'on demand', '0.06', '0.24', 'Nova Lite'],
      ['arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123', 'profile', '-', '-', 'billing'],
      ['us.amazon.nova-lite-v1:0', 'profile', '0.06', '0.24', 'Nova Lite'],
      ['anthropic.old-v1', 'provisioned, legacy', '-', '-', 'Old?[2J'],
      [''],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '4 ids in us-east-1; USD per million tokens.\n' });
  });

  it('says what it was not allowed to ask', async () => {
    const { code, stdout, stderr } = await listFrom(['lite', '--json'], /^\/inference-profiles/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      region: 'us-east-1',
      models: [{ id: 'amazon.nova-lite-v1:0', call: 'on-demand', legacy: false, price: { input_mtok: 0.06 } }],
      problems: [expect.stringContaining('AWS did not list inference profiles. AWS answers 403 AccessDeniedException')],
    });
  });

  it('fails if nothing is listed', async () => {
    const { code, stderr } = await listFrom([], /./);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: AWS lists no models. AWS answers 403 AccessDeniedException: not authorized to do it',
    );
  });

  it.each([['models'], ['chat', 'amazon.nova-lite-v1:0', 'hi']])(
    'says in the words of start that there are no credentials: %s',
    async (...args) => {
      const { code, stderr } = await (await openCli()).spawn([...args, '--region', 'us-east-1']).ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(/^error: The proxy has no AWS credentials to sign with\..*\nhint: .*aws configure/);
    },
  );

  it('wants a region', async () => {
    const { code, stderr } = await (await openCli()).spawn(['models']).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: No region is configured\.\nhint:/),
    });
  });

  it('asks the proxy that runs, which knows its region, with a key that ends with it', async () => {
    const cli = await openCli();
    const running = cli.spawn(['start', '--offline', '--region', 'eu-west-1', '--port', '0']);
    const [, port = ''] = await running.waitFor('stderr', /localhost:(\d+)\/bedrock/);
    const { code, stdout, stderr } = await cli.spawn(['models', 'nova-lite', '--port', port]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(' ids in eu-west-1; ') });
    expect(stdout).toContain('eu.amazon.nova-lite-v1:0');
    const { stdout: told } = await cli.run(['usage', '--json']);
    expect(JSON.parse(told)).toMatchObject({ groups: [{ label: 'exec: models', requests: 2 }] });
    expect(JSON.parse((await cli.run(['key', 'list', '--json'])).stdout)).toEqual([]);
  });

  it('works offline, by a part of a name or a pattern', async () => {
    const cli = await openCli();
    const list = async (pattern: string) => (await cli.spawn(['models', pattern, '--offline']).ended).stdout;
    expect(await list('claude sonnet 4.5')).toMatch(
      /us\.anthropic\.claude-sonnet-4-5-20250929-v1:0 +profile only +3\.3\+ +16\.5\+ +Claude Sonnet 4\.5/,
    );
    expect(await list('amazon.nova-micro*')).not.toContain('us.amazon');
  });
});
