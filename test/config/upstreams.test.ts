import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { parseUpstreamsFile, readUpstreamsFile } from '../../src/config/upstreams.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const file = (...upstreams: unknown[]): string => JSON.stringify({ upstreams });
const refusalOf = async (text: string, environment = {}): Promise<string> =>
  (await failureOf(() => parseUpstreamsFile(text, environment))).message;
const read = (fallback: readonly string[]) => readConfig({ fallback }, {}).fallbacks;
const ROLE = 'arn:aws:iam::111122223333:role/bedrock';

describe('the file of --upstreams', () => {
  it('says all that is known of an upstream', () => {
    const text = file(
      {
        name: 'eu.1',
        region: 'eu-west-1',
        endpointUrl: 'https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
        profile: 'second',
        roleArn: ROLE,
        externalId: 'ext-1',
        durationSeconds: 900,
        models: ['*claude*', { 'us.amazon.nova-lite-v1:0': 'eu.amazon.nova-lite-v1:0' }],
        weight: 0.5,
        maxInFlight: 3,
      },
      { name: 'key', apiKeyVariable: 'SECOND_KEY' },
    );
    const template = {
      scheme: 'https',
      authority: 'vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
      pathPrefix: '',
    };
    expect(parseUpstreamsFile(text, { SECOND_KEY: ' ABSKkey ' })).toEqual([
      {
        name: 'eu.1',
        region: 'eu-west-1',
        endpointUrls: new Map([['*', template]]),
        identity: { profile: 'second', roleArn: ROLE, externalId: 'ext-1', durationSeconds: 900 },
        apiKey: undefined,
        models: { served: ['*claude*'], mapped: new Map([['us.amazon.nova-lite-v1:0', 'eu.amazon.nova-lite-v1:0']]) },
        weight: 0.5,
        maxInFlight: 3,
      },
      {
        name: 'key',
        region: undefined,
        endpointUrls: undefined,
        identity: undefined,
        apiKey: 'ABSKkey',
        models: { served: undefined, mapped: new Map() },
        weight: 1,
        maxInFlight: undefined,
      },
    ]);
  });

  it.each([
    ['{', 'the file must be JSON'],
    ['[]', 'the file must be an object'],
    ['{"upstream":[]}', 'upstream is not known here'],
    ['{}', 'upstreams must be a list of one upstream at least'],
    [file(), 'upstreams must be a list of one upstream at least'],
    [file(...Array.from({ length: 33 }, (_, index) => ({ name: `u${index}` }))), 'upstreams must be at most 32'],
    [file('us-east-1'), 'upstreams[0] must be an object'],
    [file({ region: 'us-east-1' }), 'upstreams[0].name is missing'],
    [file({ name: 'a b' }), 'upstreams[0].name must be a name of up to 63 letters, digits and ._-'],
    [file({ name: 'a' }, { name: 'a' }), 'upstreams[1].name is the name of another one as well'],
    [file({ name: 'a', weight: 0 }), 'upstreams must have one whose weight is not 0'],
    [file({ name: 'a', regions: 'us-east-1' }), 'upstreams[0].regions is not known here'],
    [file({ name: 'a', region: 'mars-1' }), 'upstreams[0].region must be an AWS region'],
    [file({ name: 'a', endpointUrl: 'ftp://x' }), 'upstreams[0].endpointUrl must be an http:// or https:// URL'],
    [file({ name: 'a', endpointUrl: [] }), 'upstreams[0].endpointUrl must be a URL, or a list of them'],
    [file({ name: 'a', endpointUrl: ['s3=https://x'] }), 'upstreams[0].endpointUrl names an unknown service'],
    [file({ name: 'a', profile: ' ' }), 'upstreams[0].profile must be text, and not empty'],
    [
      file({ name: 'a', roleArn: 'arn:aws:iam::1:mfa/x' }),
      'upstreams[0].roleArn must be the ARN of a role, and no MFA',
    ],
    [file({ name: 'a', roleArn: 7 }), 'upstreams[0].roleArn must be the ARN of a role'],
    [file({ name: 'a', externalId: 'x1' }), 'upstreams[0].externalId needs a roleArn'],
    [file({ name: 'a', durationSeconds: 900 }), 'upstreams[0].durationSeconds needs a roleArn'],
    [file({ name: 'a', roleArn: ROLE, durationSeconds: 60 }), 'must be a whole number from 900 to 43200'],
    [file({ name: 'a', roleArn: ROLE, externalId: 'ü' }), 'upstreams[0].externalId must be 2 to 1224 letters'],
    [file({ name: 'a', apiKeyVariable: 'ABSK/secret' }), 'must be the name of the variable that holds'],
    [
      file({ name: 'a', apiKeyVariable: 'UNSET' }),
      'upstreams[0].apiKeyVariable names the variable UNSET, which is not set',
    ],
    [file({ name: 'a', models: [] }), 'upstreams[0].models must not be empty'],
    [file({ name: 'a', models: 'a b' }), 'upstreams[0].models must have names or patterns of models, not "a b"'],
    [file({ name: 'a', models: [7] }), 'upstreams[0].models must be a list of models, or a map'],
    [
      file({ name: 'a', models: { 'us.*': 'eu.x' } }),
      'upstreams[0].models["us.*"] must be the id or the ARN of a model;',
    ],
    [file({ name: 'a', models: { x: 7 } }), 'upstreams[0].models["x"] must be the id or the ARN of a model there'],
    [file({ name: 'a', weight: -1 }), 'upstreams[0].weight must be a number from 0 to 1000'],
    [file({ name: 'a', maxInFlight: 0 }), 'upstreams[0].maxInFlight must be a whole number from 1 to 100000'],
  ])('is refused with one sentence for the mistake: %s', async (text, sentence) => {
    expect(await refusalOf(text)).toContain(sentence);
    expect(await refusalOf(text)).toMatch(/^In the file of --upstreams, /);
  });

  it('never shows a key that stands where a variable is named', async () => {
    expect(await refusalOf(file({ name: 'a', apiKeyVariable: 'ABSK/secret' }))).not.toContain('secret');
  });

  it('takes no virtual key, which is for clients', async () => {
    const text = file({ name: 'a', apiKeyVariable: 'KEY' });
    expect(await refusalOf(text, { KEY: 'sk-abc' })).toContain('names the variable KEY, which holds a virtual key');
  });

  it.each(['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'BEDROCK_PROXY_SALT_KEY'])(
    'sends no other secret in place of an API key: %s',
    async (name) => {
      const refusal = await refusalOf(file({ name: 'a', apiKeyVariable: name }), { [name]: 'hush' });
      expect(refusal).toContain(`names the variable ${name}, which holds something else that is secret`);
    },
  );

  it('has either an API key or another identity', async () => {
    const text = file({ name: 'a', profile: 'p', apiKeyVariable: 'KEY' });
    expect(await refusalOf(text, { KEY: 'ABSK' })).toContain('cannot stand beside a profile or a roleArn');
  });

  it('is refused if it cannot be read', async () => {
    const path = join(await makeTemporaryFolder(), 'none.json');
    await expect(readUpstreamsFile(path, {})).rejects.toMatchObject({
      code: 'ERR_BAD_OPTION',
      message: 'The file of --upstreams cannot be read (ENOENT).',
    });
  });
});

describe('--fallback', () => {
  it('names a region, a profile, or both, and is of last resort', () => {
    const named = read(['region=us-west-2', 'profile=second', 'profile=third,region=eu-west-1']);
    expect(named).toMatchObject([
      { name: 'us-west-2', region: 'us-west-2', identity: undefined, weight: 0 },
      { name: 'second', region: undefined, identity: { profile: 'second' }, weight: 0 },
      { name: 'third', region: 'eu-west-1', identity: { profile: 'third' }, weight: 0 },
    ]);
  });

  it('stands in a variable with blanks between several', () => {
    const environment = { BEDROCK_PROXY_FALLBACK: 'region=us-west-2 profile=b,region=eu-west-1' };
    expect(readConfig({}, environment).fallbacks.map(({ name }) => name)).toEqual(['us-west-2', 'b']);
  });

  it.each([
    [['us-west-2'], 'must be a region or a profile such as'],
    [['region='], 'must be a region or a profile such as'],
    [['region=a,region=b'], 'must be a region or a profile such as'],
    [['weight=1'], 'must be a region or a profile such as'],
    [['region=mars'], '--fallback: region must be an AWS region'],
    [['region=us-west-2', 'region=us-west-2'], 'must have a name that no other one has'],
  ])('%j is refused: %s', async (fallback, sentence) => {
    expect((await failureOf(() => read(fallback))).message).toContain(sentence);
  });

  it('cannot stand beside a file', async () => {
    const failure = await failureOf(() => readConfig({ fallback: ['region=us-west-2'], upstreams: 'a.json' }, {}));
    expect(failure.message).toBe('--fallback cannot stand beside --upstreams.');
  });
});
