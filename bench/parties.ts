/**
 * Who is measured: the upstream, the bare proxy, and bedrock-proxy as users start it, each a process of its own.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Usage } from './probe.ts';
import {
  findFreePort,
  isReady,
  type Profiling,
  profilingOf,
  startProbed,
  stopChild,
  untilPortResponds,
  usageOf,
} from './processes.ts';

/** A server of the same requests: AWS itself, or a proxy before it. */
export interface Party {
  readonly name: 'direct' | 'bare' | 'proxied';
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** The same for HTTP/2 with prior knowledge; undefined if the party does not speak it. */
  readonly http2Origin: string | undefined;
  /** Before the path of every operation. */
  readonly mountPath: string;
  usage(options: { afterGc: boolean }): Promise<Usage>;
}

export interface Parties extends AsyncDisposable {
  readonly direct: Party;
  readonly bare: Party;
  readonly proxied: Party;
  /** The virtual key that `proxied` needs; the others do not look at it. */
  readonly key: string;
  /** Of `proxied`. */
  readonly profiling: Profiling;
}

/** Where the launcher is, and a folder for databases. */
export interface Installation {
  readonly launcher: string;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A user's environment without the user's settings: no profile, no proxy, AWS keys that are worth nothing. */
export async function makeInstallation(): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-bench-'));
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(aws_|bedrock_proxy_|litellm_|https?_proxy|all_proxy|database_url|node_options)/i.test(name),
  );
  const environment = {
    ...Object.fromEntries(kept),
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    AWS_CONFIG_FILE: join(folder, 'no-config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_REGION: 'us-east-1',
    BEDROCK_PROXY_DB: join(folder, 'keys.db'),
  };
  return { launcher: fileURLToPath(new URL('../bin/bedrock-proxy.js', import.meta.url)), folder, environment };
}

/** Starts all three. */
export async function startParties({ launcher, environment }: Installation): Promise<Parties> {
  const children: ChildProcess[] = [];
  const run = (script: string, args: string[]): ChildProcess => {
    const child = startProbed({ script, args, environment });
    children.push(child);
    return child;
  };
  const key = await promisify(execFile)(process.execPath, [launcher, 'key', 'generate', '--quiet'], {
    env: environment,
  });

  const upstream = run(fileURLToPath(new URL('./upstream.ts', import.meta.url)), []);
  const upstreamPorts = await isReady(upstream);
  const upstreamOrigin = `http://127.0.0.1:${upstreamPorts.port}`;
  const bare = run(fileURLToPath(new URL('./bare-proxy.ts', import.meta.url)), [upstreamOrigin]);
  const { port: barePort } = await isReady(bare);
  const port = await findFreePort();
  const proxied = run(launcher, ['start', '--quiet', '--port', String(port), '--endpoint-url', upstreamOrigin]);
  await untilPortResponds(port, proxied);
  const proxiedOrigin = `http://127.0.0.1:${port}`;
  return {
    key: key.stdout.trim(),
    profiling: profilingOf(proxied),
    direct: {
      name: 'direct',
      origin: upstreamOrigin,
      http2Origin: `http://127.0.0.1:${upstreamPorts.http2Port}`,
      mountPath: '',
      usage: usageOf(upstream),
    },
    bare: {
      name: 'bare',
      origin: `http://127.0.0.1:${barePort}`,
      http2Origin: undefined,
      mountPath: '',
      usage: usageOf(bare),
    },
    proxied: {
      name: 'proxied',
      origin: proxiedOrigin,
      http2Origin: proxiedOrigin,
      mountPath: '/bedrock',
      usage: usageOf(proxied),
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(children.toReversed().map(stopChild));
    },
  };
}
