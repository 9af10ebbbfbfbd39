/**
 * `start --tls` as its users meet it: the AWS SDK for JavaScript over https (HTTP/2, its own choice, and HTTP/1.1) with
 * a bearer key and with the pair, fetch, `env` and `exec`; one certificate for ever; and what is said about a bad one.
 * @module-tag slow
 */
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttp2Handler, NodeHttpHandler } from '@smithy/node-http-handler';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';

const MESSAGES = [{ role: 'user' as const, content: [{ text: 'Hello' }] }];
const MODEL = 'amazon.nova-lite-v1:0';

let place: Workplace;
let server: RunningServer;
let caFile: string;
let url: string;
let pair: { readonly accessKeyId: string; readonly secretAccessKey: string };

beforeAll(async () => {
  place = await openWorkplace();
  const made = await run(['key', 'generate', '--alias', 'alice', '--json'], place.environment);
  const { key, access_key_id: accessKeyId } = JSON.parse(made.stdout) as { key: string; access_key_id: string };
  pair = { accessKeyId, secretAccessKey: key };
  server = await launchServer(['--offline', '--tls', '--log-format', 'json'], place.environment);
  caFile = join(place.folder, 'tls-ca.pem');
  url = `https://localhost:${server.port}/bedrock`;
  // What NODE_EXTRA_CA_CERTS does at the start of a process.
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(caFile, 'utf8')]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

describe.each([
  { version: '2', open: () => new NodeHttp2Handler() },
  { version: '1.1', open: () => new NodeHttpHandler() },
])('the AWS SDK for JavaScript by https, HTTP/$version', ({ version, open }) => {
  it.each(['bearer', 'pair'])('converses and streams with the AWS SDK by https with %s', async (kind) => {
    const shown =
      kind === 'pair'
        ? { credentials: pair }
        : { token: { token: pair.secretAccessKey }, authSchemePreference: ['httpBearerAuth'] };
    const settings = { region: 'us-east-1', endpoint: url, maxAttempts: 1, requestHandler: open() };
    const client = new BedrockRuntimeClient({ ...settings, ...shown });
    const { stopReason } = await client.send(new ConverseCommand({ modelId: MODEL, messages: MESSAGES }));
    expect(stopReason).toBe('end_turn');
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
    let said = '';
    for await (const event of stream ?? []) said += event.contentBlockDelta?.delta?.text ?? '';
    expect(said).toContain('you said: Hello');
    client.destroy();
    const line = (await server.untilStdout('"ConverseStream"')).trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(line)).toMatchObject({ http: version, key: 'alice', status: 200 });
  });
});

describe('the same port', () => {
  it.each(['http', 'https'])('answers fetch by %s on the same port', async (scheme) => {
    const response = await fetch(`${scheme}://localhost:${server.port}/bedrock/foundation-models`, {
      headers: { authorization: `Bearer ${pair.secretAccessKey}` },
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toHaveProperty('modelSummaries');
  });

  it('answers HTTP/2 by https under the address as well as the name', async () => {
    const session = connectHttp2(`https://127.0.0.1:${server.port}`);
    const stream = session.request({ ':path': '/health' });
    expect(JSON.parse(await text(stream))).toMatchObject({ status: 'healthy' });
    session.close();
  });

  it('fails a client that does not trust the authority of the certificate', async () => {
    const socket = connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca: [] });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toMatch(/UNABLE_TO_|SELF_SIGNED/);
  });

  it.each([
    { origin: 'own', status: 200 },
    { origin: 'https://evil.example', status: 403 },
  ])('lets a page of its own origin call by https, and no other: $origin', async ({ origin, status }) => {
    const own = `https://localhost:${server.port}`;
    const response = await fetch(`${own}/bedrock/foundation-models`, {
      headers: { origin: origin === 'own' ? own : origin, authorization: `Bearer ${pair.secretAccessKey}` },
    });
    expect(response.status).toBe(status);
  });
});

describe('the certificate', () => {
  it('keeps the certificate private to its owner, and names it in the banner', async () => {
    for (const file of ['tls.pem', 'tls-ca.pem']) {
      expect((await stat(join(place.folder, file))).mode & 0o077).toBe(0);
    }
    const banner = await server.untilStderr('to trust');
    expect(banner).toMatch(new RegExp(`with tls +${url}\n +to trust +${caFile}\n`));
    expect(await readFile(caFile, 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('keeps the certificate after a restart, and for every other proxy of the database', async () => {
    const seen: string[] = [];
    for (const args of [[], ['--allowed-host', 'LocalHost']]) {
      await using other = await launchServer(['--offline', '--tls', ...args], place.environment);
      for (const port of [server.port, other.port]) {
        const socket = connect({ port, host: '127.0.0.1', servername: 'localhost' });
        await once(socket, 'secureConnect');
        seen.push(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      }
    }
    expect(new Set(seen).size).toBe(1);
  });

  it('makes the certificate anew for another host name, and whoever holds the first one still trusts it', async () => {
    await using other = await launchServer(['--offline', '--tls', '--allowed-host', 'dev.test'], place.environment);
    const ca = await readFile(caFile, 'utf8');
    expect(ca.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    for (const [port, servername] of [
      [server.port, 'localhost'],
      [other.port, 'localhost'],
      [other.port, 'dev.test'],
    ] as const) {
      const socket = connect({ port, host: '127.0.0.1', servername, ca });
      await once(socket, 'secureConnect');
      expect(socket.authorized).toBe(true);
      socket.destroy();
    }
  });

  it('uses the certificate of the operator instead', async () => {
    const args = ['--tls-cert', join(place.folder, 'tls.pem'), '--tls-key', join(place.folder, 'tls.pem')];
    await using other = await launchServer(['--offline', ...args], place.environment);
    const socket = connect({
      port: other.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: await readFile(caFile),
    });
    await once(socket, 'secureConnect');
    socket.destroy();
    expect(await other.untilStderr('to trust')).toContain('the authority of --tls-cert');
  });

  it.each([
    { name: 'another key', cert: 'tls.pem', key: 'other.pem', says: '--tls-key is not the key of --tls-cert' },
    { name: 'no key', cert: 'tls.pem', key: 'rubbish.pem', says: '--tls-key holds no private key' },
    { name: 'no certificate', cert: 'rubbish.pem', key: 'tls.pem', says: '--tls-cert holds no certificate' },
    { name: 'an empty file', cert: 'empty.pem', key: 'tls.pem', says: '--tls-cert holds no certificate' },
    { name: 'no file', cert: 'nowhere.pem', key: 'tls.pem', says: '--tls-cert cannot be read (ENOENT)' },
  ])('ends the start with 2 and one line for a certificate with $name', async ({ cert, key, says }) => {
    const { generateKeyPairSync } = await import('node:crypto');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(place.folder, 'other.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(join(place.folder, 'rubbish.pem'), 'dear diary');
    await writeFile(join(place.folder, 'empty.pem'), '');
    const files = ['--tls-cert', join(place.folder, cert), '--tls-key', join(place.folder, key)];
    const { code, stdout, stderr } = await run(['start', '--offline', '--port', '0', ...files], place.environment);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: .*\n(hint: .*\n)?$/);
    expect(stderr.startsWith(`error: ${says}`)).toBe(true);
  });
});

/** What `env` says. */
async function settingsOf(...args: string[]): Promise<{ url: string; variables: Record<string, string> }> {
  const { stdout, stderr } = await run(['env', '--json', '--region', 'us-east-1', ...args], place.environment);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('clients are told', () => {
  it.each([
    { client: 'boto3', variables: ['AWS_CA_BUNDLE'] },
    { client: 'aws-cli', variables: ['AWS_CA_BUNDLE'] },
    { client: 'js', variables: ['NODE_EXTRA_CA_CERTS'] },
    { client: 'claude-code', variables: ['NODE_EXTRA_CA_CERTS'] },
    { client: 'go', variables: ['AWS_CA_BUNDLE'] },
    { client: 'anthropic', variables: ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'] },
    { client: 'litellm', variables: ['AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'] },
  ])('names the certificate in env --tls, whether or not the proxy runs: $client', async ({ client, variables }) => {
    const told = await settingsOf('--tls', '--for', client, '--port', '4999');
    expect(told.url).toBe('https://localhost:4999/bedrock');
    const trusts = Object.entries(told.variables).filter(([, value]) => value === caFile);
    expect(trusts.map(([name]) => name)).toEqual(variables);
  });

  it('names the certificate in env of a proxy with TLS, but not for clients that take no file', async () => {
    const port = ['--port', String(server.port)];
    expect((await settingsOf('--for', 'boto3', ...port)).url).toBe(url);
    expect((await settingsOf('--for', 'java', ...port)).url).toBe(url.replace('https', 'http'));
    expect((await settingsOf('--for', 'boto3', '--url', url.replace('https', 'http'))).url).toMatch(/^http:/);
  });

  it('says in env that the certificate is not there yet', async () => {
    await using elsewhere = await openWorkplace();
    const { stdout, stderr } = await run(
      ['env', '--tls', '--region', 'us-east-1', '--shell', 'bash'],
      elsewhere.environment,
    );
    expect(stdout).toContain('https://localhost:4000/bedrock');
    expect(stderr).toContain(`${join(elsewhere.folder, 'tls-ca.pem')} is made when the proxy first starts with --tls.`);
  });

  const APP = `const { createRequire } = require('node:module');
    const { BedrockRuntimeClient, ConverseCommand } = createRequire(${JSON.stringify(import.meta.url)})('@aws-sdk/client-bedrock-runtime');
    const input = { modelId: '${MODEL}', messages: ${JSON.stringify(MESSAGES)} };
    new BedrockRuntimeClient({ maxAttempts: 1 }).send(new ConverseCommand(input))
      .then(({ stopReason }) => console.log(stopReason, process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME));`;

  it.each([
    { name: 'with a proxy of its own', args: ['--tls', '--offline'] },
    { name: 'with the one that runs', args: ['--region', ''] },
  ])('gives the certificate to the command of exec $name', async ({ name, args }) => {
    const isShared = name.endsWith('runs');
    const given = isShared ? ['--port', String(server.port)] : args;
    const command = ['exec', ...given, '--for', 'js', '--', process.execPath, '-e', APP];
    const { code, stdout, stderr } = await run(command, { ...place.environment, AWS_REGION: 'us-east-1' });
    expect([code, stderr]).toEqual([0, '']);
    const [, shown = ''] = /^end_turn (https:\/\/(?:localhost|127\.0\.0\.1):\d+\/bedrock)\n$/.exec(stdout) ?? [stdout];
    expect(shown === url).toBe(isShared);
    expect(shown).not.toBe('');
  });
});
