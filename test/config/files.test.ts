/** Configuration files: where they are, what counts, and what a stranger's may not have. */
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Config, readConfig } from '../../src/config/config.ts';
import { type ConfigPlaces, findUserFile, nameInFile, readConfigFiles } from '../../src/config/files.ts';
import { CONFIG_FILES, type Flags, OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

interface Written {
  readonly project?: unknown;
  readonly user?: unknown;
  readonly flags?: Flags;
  readonly environment?: Record<string, string>;
}

/** A project, which is a repository, with a folder in it; and the folder of a user. */
async function makePlaces({ project, user, environment = {} }: Written) {
  const root = await makeTemporaryFolder();
  const home = join(root, 'home');
  const workingFolder = join(root, 'project', 'below');
  await mkdir(join(root, 'project', '.git'), { recursive: true });
  await mkdir(workingFolder);
  const places = {
    environment: { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), ...environment },
    workingFolder,
    platform: 'linux',
  } as const;
  const userFile = findUserFile(places);
  await mkdir(dirname(userFile), { recursive: true });
  const projectFile = join(root, 'project', 'bedrock-proxy.json');
  for (const [path, content] of [
    [projectFile, project],
    [userFile, user],
  ] as const) {
    if (content !== undefined) await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return { places, root, projectFile, userFile };
}

/** The configuration of such files. */
async function read(written: Written) {
  const { places, ...paths } = await makePlaces(written);
  return { config: readFrom(places, written), ...paths };
}

function readFrom(places: ConfigPlaces, { flags, environment = {} }: Written): Config {
  return readConfig({ ...flags, [CONFIG_FILES]: readConfigFiles(places) }, environment);
}

async function refusalOf(written: Written) {
  const { places } = await makePlaces(written);
  return failureOf(() => readFrom(places, written));
}

describe('precedence', () => {
  const project = { port: 4501 };
  const user = { port: 4502, 'idle-timeout': 60 };

  it.each([
    { from: 'the flag', port: 4503, written: { flags: { port: '4503' }, environment: { BEDROCK_PROXY_PORT: '4504' } } },
    { from: 'the variable', port: 4504, written: { environment: { BEDROCK_PROXY_PORT: '4504' } } },
    { from: 'the file of the project', port: 4501, written: {} },
    { from: 'the file of the user', port: 4502, written: { project: undefined } },
    { from: 'the default', port: 4000, written: { project: undefined, user: undefined } },
  ])('takes $from', async ({ port, written }) => {
    expect((await read({ project, user, ...written })).config.port).toBe(port);
  });

  it('takes what the project does not say from the user', async () => {
    const { config, projectFile, userFile } = await read({ project, user });
    expect(config).toMatchObject({ port: 4501, idleTimeoutMs: 60_000, configFiles: [projectFile, userFile] });
  });
});

describe('what a file may say', () => {
  it('has a name for every option, which is its flag', () => {
    for (const name of OPTION_NAMES) expect(OPTIONS[name].flag).toContain(`--${nameInFile(name)}`);
  });

  it('takes switches, lists, and one text in the place of a list', async () => {
    const user = {
      $schema: 'somewhere',
      offline: true,
      quiet: false,
      'allowed-host': ['One.test', 'two.test'],
      'model-alias': 'fast=amazon.nova-lite-v1:0',
    };
    expect((await read({ user })).config).toMatchObject({
      offline: true,
      quiet: false,
      allowedHosts: ['one.test', 'two.test'],
      modelAliases: { fast: 'amazon.nova-lite-v1:0' },
    });
  });

  it('lets a variable turn a switch of a file off', async () => {
    const { config } = await read({ user: { offline: true }, environment: { BEDROCK_PROXY_OFFLINE: '0' } });
    expect(config.offline).toBe(false);
  });

  it.each([
    { db: 'keys.db', path: (folder: string) => join(folder, 'keys.db') },
    { db: 'sqlite:keys.db', path: (folder: string) => join(folder, 'keys.db') },
    { db: 'sqlite://keys.db', path: (folder: string) => join(folder, 'keys.db') },
    { db: 'file:///keys/keys.db', path: () => '/keys/keys.db' },
    { db: '~/keys.db', path: () => join(homedir(), 'keys.db') },
  ])('takes $db as a path beside the file, not in the working folder', async ({ db, path }) => {
    const { config, userFile } = await read({ user: { db } });
    expect(config.database.shown).toBe(path(dirname(userFile)));
  });

  it.each([
    { user: { prot: 1 }, message: /has "prot", which is no option/, hint: 'Did you mean "port"?' },
    { user: { maxBodySize: '1mb' }, message: /"maxBodySize"/, hint: 'Did you mean "max-body-size"?' },
    { user: { port: 'x' }, message: /^"port" in .*bedrock-proxy\.json must be a whole number/ },
    { user: { port: [1] }, message: /must be a text or a number/ },
    { user: { offline: 'yes' }, message: /must be true or false/ },
    { user: { 'allowed-host': [{}] }, message: /must be a text or a list of texts/ },
    { user: { profile: '' }, message: /must be printable text, and not empty/ },
    { user: { profile: 'a\u001b[2Jb' }, message: /must be printable text/ },
    { user: [], message: /must be a JSON object/ },
    { user: '{"port": 4000,\n}', message: /is no JSON: line 2 column 1\.$/ },
    { user: 'secret text', message: /bedrock-proxy\.json is no JSON\.$/ },
    { user: `{"profile": "${'x'.repeat(70_000)}"}`, message: /is larger than 65536 bytes/ },
  ])('refuses $user', async ({ user, message, hint }) => {
    const error = await refusalOf({ user });
    expect(error).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringMatching(message) });
    if (hint !== undefined) expect(error.hint).toBe(hint);
  });
});

describe('the file of a project, which a stranger may have written', () => {
  /** Everything that opens a port, runs something, names a file or a host, lowers a limit, hides or deletes. */
  const REFUSED = {
    host: '0.0.0.0',
    db: 'keys.db',
    'endpoint-url': 'https://bedrock.example',
    'model-alias': 'claude=arn:aws:bedrock:us-east-1:999999999999:imported-model/abc',
    'tls-cert': 'cert.pem',
    'tls-key': 'key.pem',
    workers: 64,
    'shutdown-grace': 86_400,
    'allowed-host': 'evil.example',
    'allowed-origin': 'https://evil.example',
    prices: 'prices.json',
    'assumed-output': 1,
    upstreams: 'upstreams.json',
    fallback: 'endpointUrl=https://bedrock.example',
    'failover-deadline': 3600,
    'ledger-days': 1,
    'no-cut': true,
    quiet: true,
  };

  it('may have no other options than those that were thought about', () => {
    const refused = OPTION_NAMES.filter((name) => {
      const spec: OptionSpec = OPTIONS[name];
      return spec.inProject !== true;
    });
    expect(refused.map(nameInFile)).toEqual(expect.arrayContaining(Object.keys(REFUSED)));
    const harmless = OPTION_NAMES.filter((name) => !refused.includes(name)).map(nameInFile);
    expect(harmless).toEqual([
      'port',
      'region',
      'profile',
      'offline',
      'fips',
      'dualstack',
      'openai-upstream',
      'tls',
      'max-body-size',
      'idle-timeout',
      'stream-idle-timeout',
      'no-response-headers',
      'log-format',
    ]);
  });

  it.each(Object.entries(REFUSED))('refuses %s, and says what to do', async (key, value) => {
    const error = await refusalOf({ project: { [key]: value } });
    expect(error).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringContaining(`"${key}" in `) });
    expect(error.hint).toContain('--config FILE');
  });

  it('does not turn off what the user turned on', async () => {
    const error = await refusalOf({ project: { offline: false }, user: { offline: true } });
    expect(error.message).toContain('can only be true');
  });

  it('names no profile that would run something where a hint is pasted', async () => {
    expect((await refusalOf({ project: { profile: "x'; touch y; '" } })).message).toContain('characters');
  });

  it('counts in full if its owner names it', async () => {
    const { places, projectFile } = await makePlaces({ project: { 'ledger-days': 7, prices: 'own.json' } });
    const environment = { ...places.environment, BEDROCK_PROXY_CONFIG: projectFile };
    const config = readConfig({ [CONFIG_FILES]: readConfigFiles({ ...places, environment }) }, {});
    expect(config).toMatchObject({
      ledgerRetentionMs: 7 * 86_400_000,
      pricesFile: join(dirname(projectFile), 'own.json'),
    });
  });

  it('says that a file that was named is not there', async () => {
    const { places } = await makePlaces({});
    const environment = { ...places.environment, BEDROCK_PROXY_CONFIG: 'missing.json' };
    expect(() => readConfigFiles({ ...places, environment })).toThrow('missing.json is not there');
  });

  it('is looked for up to the root of the repository, and no further', async () => {
    const { places, root } = await makePlaces({});
    await writeFile(join(root, 'bedrock-proxy.json'), '{"port":1}');
    expect(readConfigFiles(places)).toEqual([]);
    // Outside of a repository in the working folder alone.
    const below = join(root, 'other');
    await mkdir(below);
    expect(readConfigFiles({ ...places, workingFolder: below })).toEqual([]);
    expect(readConfigFiles({ ...places, workingFolder: root })).toHaveLength(1);
  });

  it.skipIf(process.platform === 'win32')('does not wait for a pipe, and quotes no other file', async () => {
    const { places, root, projectFile } = await makePlaces({});
    execFileSync('sh', ['-c', 'mkfifo pipe'], { cwd: root });
    await symlink(join(root, 'pipe'), projectFile);
    expect(() => readConfigFiles(places)).toThrow('is no file');
  });

  it.runIf(process.getuid?.() === 0)('is refused if it belongs to another user', async () => {
    const { places, projectFile } = await makePlaces({ project: { port: 4501 } });
    execFileSync('chown', ['12345', projectFile]);
    expect(() => readConfigFiles(places)).toThrow('belongs to another user');
  });
});
