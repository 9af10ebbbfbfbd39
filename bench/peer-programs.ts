/**
 * The other gateways: how each is installed, started before the bench's upstream with its own settings, and asked for
 * the same small Converse.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Case, makeCall } from './cases.ts';
import type { Call } from './load.ts';
import type { Installation } from './parties.ts';
import { installFromNpm, installFromPyPi, type InstalledPeer } from './peer-install.ts';

/** How a process is started. */
export interface PeerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** What a peer needs to know to start. */
export interface PeerContext {
  readonly installed: InstalledPeer;
  readonly installation: Installation;
  readonly upstreamOrigin: string;
  readonly port: number;
}

/** What it does of what bedrock-proxy does, in the words of the table. */
export interface PeerWork {
  readonly request: string;
  readonly keys: string;
  readonly ledger: string;
}

/** A gateway that is no part of the project. */
export interface PeerProgram {
  readonly name: string;
  readonly work: PeerWork;
  /** Whether it refuses a request without its key: then that is checked. */
  readonly refusesWithoutKey: boolean;
  /** How many requests it takes to be warm, in milliseconds of load. */
  readonly warmUpMs: number;
  install(): Promise<InstalledPeer>;
  command(context: PeerContext): Promise<PeerCommand>;
  call(context: PeerContext, benchCase: Case): Call;
}

const MASTER_KEY = 'sk-bench-0123456789';

const LITELLM: PeerProgram = {
  name: 'LiteLLM',
  work: {
    request: 'Converse, by its /bedrock pass-through',
    keys: 'one master key',
    ledger: 'none (needs PostgreSQL)',
  },
  refusesWithoutKey: true,
  warmUpMs: 5_000,
  // 1.107.0 is reported to be compromised.
  install: () => installFromPyPi('litellm', 'litellm[proxy]>=1.108,!=1.107.0'),
  command: async ({ installed, installation, upstreamOrigin, port }) => {
    const config = join(installation.folder, 'litellm.yaml');
    const model = {
      model_name: 'bench.small',
      litellm_params: { model: 'bedrock/bench.small', aws_bedrock_runtime_endpoint: upstreamOrigin },
    };
    // JSON is YAML.
    await writeFile(config, JSON.stringify({ model_list: [model], general_settings: { master_key: MASTER_KEY } }));
    return {
      file: installed.path,
      args: ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'],
      environment: {
        ...installation.environment,
        AWS_REGION_NAME: 'us-east-1',
        AWS_BEDROCK_RUNTIME_ENDPOINT: upstreamOrigin,
        // Nothing is fetched, and as little is logged as in production.
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
        LITELLM_LOG: 'ERROR',
      },
    };
  },
  call: (_context, benchCase) => makeCall({ mountPath: '/bedrock' }, MASTER_KEY, benchCase),
};

const PORTKEY: PeerProgram = {
  name: 'Portkey',
  work: {
    // Relaying a native request, it fails (Node 22 and 24) after the upstream has responded ("TypeError: immutable").
    request: 'OpenAI chat, translated to Converse and back',
    keys: 'none: each request brings AWS credentials',
    ledger: 'none',
  },
  refusesWithoutKey: false,
  warmUpMs: 3_000,
  install: () => installFromNpm('@portkey-ai/gateway', 'build/start-server.js'),
  command: async ({ installed, installation, port }) => ({
    file: process.execPath,
    args: [installed.path, `--port=${port}`, '--headless'],
    environment: { ...installation.environment, NODE_ENV: 'production' },
  }),
  call: ({ installation, upstreamOrigin }, benchCase) => {
    const { headers, body } = makeCall({ mountPath: '' }, '', benchCase);
    const { authorization: _, ...others } = headers;
    const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = installation.environment;
    const content = 'x'.repeat(Math.max(0, body.length - 100));
    return {
      path: '/v1/chat/completions',
      headers: {
        ...others,
        'x-portkey-provider': 'bedrock',
        'x-portkey-aws-access-key-id': AWS_ACCESS_KEY_ID,
        'x-portkey-aws-secret-access-key': AWS_SECRET_ACCESS_KEY,
        'x-portkey-aws-region': 'us-east-1',
        'x-portkey-custom-host': upstreamOrigin,
      },
      body: Buffer.from(JSON.stringify({ model: 'bench.small', messages: [{ role: 'user', content }] })),
    };
  },
};

/** In the order of the table. */
export const PEERS: readonly PeerProgram[] = [LITELLM, PORTKEY];
