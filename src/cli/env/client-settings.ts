/**
 * Which environment variables point which client at the proxy, as a table: one row per client. Used by `env` and
 * `exec`. Pure: keys, address and region come in, names and values go out; how a shell writes them is in
 * shell-lines.ts.
 */

/** The clients that `--for` knows. */
export const CLIENTS = [
  'boto3',
  'aws-cli',
  'js',
  'go',
  'java',
  'claude-code',
  'anthropic',
  'openai',
  'vercel',
  'langchain',
  'litellm',
  'codex',
  'opencode',
  'cline',
  'aider',
  'continue',
  'goose',
] as const;
/** A client that `--for` knows. */
export type ClientName = (typeof CLIENTS)[number];

/** What the settings of a client are made of. */
export interface SettingsInput {
  /** Undefined: for any AWS SDK. */
  readonly client: ClientName | undefined;
  /** Where Bedrock is served, mount included, without trailing slash: `http://localhost:4000/bedrock`. */
  readonly url: string;
  readonly accessKeyId: string;
  /** The virtual key: a Bearer token, and the secret access key of the pair. */
  readonly key: string;
  readonly region: string | undefined;
  /** PEM file of the authority that signed the proxy's certificate; undefined where it speaks plain HTTP. */
  readonly caFile?: string | undefined;
}

/** What points one client at the proxy. */
export interface ClientSettings {
  /** Name and plain value, in the order of the table. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** What would lead the client elsewhere or prove somebody else, and has to go. */
  readonly unset: readonly string[];
  /** What no variable can say, in sentences. */
  readonly notes: readonly string[];
  /** Words that have to follow the client's own name on its command line. */
  readonly args: readonly string[];
  /** Why the variables alone do not lead it here, and what does; undefined if they do. */
  readonly obstacle: string | undefined;
}

/** Endings of AWS_ENDPOINT_URL_…: the service ids of the SDKs' models, in capitals, spaces as underscores. */
const SERVICES = [
  'BEDROCK_RUNTIME',
  'BEDROCK',
  'BEDROCK_AGENT',
  'BEDROCK_AGENT_RUNTIME',
  'BEDROCK_AGENTCORE',
  'BEDROCK_AGENTCORE_CONTROL',
  'BEDROCK_DATA_AUTOMATION',
  'BEDROCK_DATA_AUTOMATION_RUNTIME',
] as const;
const ALL_ENDPOINTS = SERVICES.map((service) => `AWS_ENDPOINT_URL_${service}`);
const IGNORE_ENDPOINTS = 'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS';

type CaVariable = 'AWS_CA_BUNDLE' | 'NODE_EXTRA_CA_CERTS' | 'REQUESTS_CA_BUNDLE' | 'SSL_CERT_FILE';

interface ClientRow {
  /** Variables that take the URL. */
  readonly endpoints: readonly string[];
  /** The AWS pair works for every service in every SDK; a Bearer token only where AWS takes one. */
  readonly credential: 'pair' | 'bearer' | 'openai' | 'codex';
  readonly region: readonly string[];
  readonly fixed?: (input: SettingsInput) => readonly (readonly [name: string, value: string])[];
  readonly unset: readonly string[];
  readonly ca: readonly CaVariable[];
  readonly notes?: (input: SettingsInput) => readonly string[];
  readonly args?: (input: SettingsInput) => readonly string[];
  readonly obstacle?: (input: SettingsInput) => string;
}

/** AWS_REGION is read by every SDK but boto3, which reads AWS_DEFAULT_REGION alone. */
const BOTH_REGIONS = ['AWS_REGION', 'AWS_DEFAULT_REGION'] as const;
/** A profile, a session or a Bedrock key of the shell would win over the pair, or be sent beside it. */
const BESIDE_PAIR = [
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_PROFILE',
  'AWS_BEARER_TOKEN_BEDROCK',
] as const;

const SDK: ClientRow = {
  endpoints: ALL_ENDPOINTS,
  credential: 'pair',
  region: ['AWS_REGION'],
  unset: [...BESIDE_PAIR, IGNORE_ENDPOINTS],
  ca: [],
};

const OPENAI: ClientRow = {
  endpoints: [],
  credential: 'openai',
  region: [],
  unset: ['OPENAI_ORG_ID', 'OPENAI_PROJECT_ID'],
  ca: ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'],
};
const LITELLM: ClientRow = {
  endpoints: ['AWS_BEDROCK_RUNTIME_ENDPOINT'],
  credential: 'pair',
  region: ['AWS_REGION_NAME', ...BOTH_REGIONS],
  unset: BESIDE_PAIR,
  ca: ['AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'],
};
/** Named in examples. */
const CLAUDE_MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const OPENAI_MODEL = 'openai.gpt-oss-120b-1:0';
/** What Codex takes the key from, as its arguments say. */
const CODEX_KEY = 'CODEX_PROXY_KEY';

const ROWS: Readonly<Record<ClientName | 'any', ClientRow>> = {
  any: { ...SDK, region: BOTH_REGIONS, ca: ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'], notes: tellJavaTrust },
  boto3: { ...SDK, region: BOTH_REGIONS, ca: ['AWS_CA_BUNDLE'] },
  'aws-cli': { ...SDK, region: BOTH_REGIONS, ca: ['AWS_CA_BUNDLE'] },
  js: { ...SDK, ca: ['NODE_EXTRA_CA_CERTS'] },
  // Go and .NET refuse a Bearer token over plain HTTP: the pair is the only way there.
  go: { ...SDK, ca: ['AWS_CA_BUNDLE'] },
  java: {
    ...SDK,
    notes: (input) => ['These variables need the AWS SDK for Java 2.28 or newer.', ...tellJavaTrust(input)],
  },
  'claude-code': {
    // It lists inference profiles with the AWS SDK, and talks to models with a client that reads its own variable
    // alone.
    endpoints: ['ANTHROPIC_BEDROCK_BASE_URL', 'AWS_ENDPOINT_URL_BEDROCK', 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME'],
    credential: 'bearer',
    region: ['AWS_REGION'],
    fixed: () => [['CLAUDE_CODE_USE_BEDROCK', '1']],
    unset: ['CLAUDE_CODE_SKIP_BEDROCK_AUTH', IGNORE_ENDPOINTS],
    ca: ['NODE_EXTRA_CA_CERTS'],
    notes: () => ['What ~/.claude/settings.json sets under "env" wins over these variables.'],
  },
  anthropic: {
    endpoints: ['ANTHROPIC_BEDROCK_BASE_URL'],
    credential: 'pair',
    region: BOTH_REGIONS,
    unset: BESIDE_PAIR,
    ca: ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'],
    notes: () => ['For the Bedrock client of the Anthropic SDKs: AnthropicBedrock().'],
  },
  openai: OPENAI,
  vercel: {
    endpoints: ['AWS_ENDPOINT_URL_BEDROCK_RUNTIME', 'AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME'],
    credential: 'bearer',
    region: ['AWS_REGION'],
    unset: [],
    ca: ['NODE_EXTRA_CA_CERTS'],
    notes: ({ url }) => [
      `@ai-sdk/amazon-bedrock before version 4 reads no endpoint variable: createAmazonBedrock({ baseURL: '${url}' }).`,
    ],
  },
  langchain: { ...SDK, region: BOTH_REGIONS, ca: ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'] },
  litellm: LITELLM,
  codex: {
    endpoints: [],
    credential: 'codex',
    region: [],
    unset: [],
    ca: ['SSL_CERT_FILE'],
    args: argumentsOfCodex,
    obstacle: (input) =>
      'Codex reads no variable for its endpoint. Start it so, or put the same into ~/.codex/config.toml: ' +
      `\`codex ${argumentsOfCodex(input).map(quoteWord).join(' ')} -m ${OPENAI_MODEL}\``,
    notes: () => [`Codex speaks the Responses API: name a model of OpenAI's on Bedrock, such as -m ${OPENAI_MODEL}.`],
  },
  opencode: {
    endpoints: [],
    credential: 'bearer',
    region: ['AWS_REGION'],
    fixed: ({ url, region }) => [
      [
        'OPENCODE_CONFIG_CONTENT',
        JSON.stringify({ provider: { 'amazon-bedrock': { options: { endpoint: url, region } } } }),
      ],
    ],
    unset: [],
    ca: ['NODE_EXTRA_CA_CERTS'],
    notes: () => [`Choose a model of the provider amazon-bedrock: \`opencode -m amazon-bedrock/${CLAUDE_MODEL}\`.`],
  },
  cline: {
    ...OPENAI,
    ca: ['NODE_EXTRA_CA_CERTS'],
    obstacle: ({ url }) =>
      'Cline reads no variable for its endpoint. With these set, and a key that stays, run once: ' +
      `\`cline auth -p openai -b ${url}/openai/v1 -k "$OPENAI_API_KEY" -m ${OPENAI_MODEL}\` ` +
      '(in the editor: Settings, API provider "OpenAI Compatible", with this base URL).',
  },
  aider: {
    ...LITELLM,
    notes: () => [`Choose a model of the provider bedrock: \`aider --model bedrock/${CLAUDE_MODEL}\`.`],
  },
  continue: {
    ...OPENAI,
    ca: ['NODE_EXTRA_CA_CERTS'],
    obstacle: ({ url }) =>
      'Continue reads no variable for its endpoint. With these set, put a model into ~/.continue/config.yaml: ' +
      `\`{ name: bedrock, provider: openai, model: ${OPENAI_MODEL}, apiBase: ${url}/openai/v1, ` +
      'apiKey: "${{ secrets.OPENAI_API_KEY }}" }`.',
  },
  goose: {
    endpoints: ALL_ENDPOINTS,
    // A token in its own keyring would win over the pair, but not over this one.
    credential: 'bearer',
    region: ['AWS_REGION'],
    fixed: () => [['GOOSE_PROVIDER', 'aws_bedrock']],
    unset: [IGNORE_ENDPOINTS],
    ca: ['SSL_CERT_FILE'],
    notes: () => [`Choose a model: GOOSE_MODEL=${CLAUDE_MODEL}.`],
  },
};

/** Whether a variable tells it whom to trust. */
export function takesCaFile(client: ClientName | undefined): boolean {
  return ROWS[client ?? 'any'].ca.length > 0;
}

/** Whether it has to know a region. */
export function takesRegion(client: ClientName | undefined): boolean {
  return ROWS[client ?? 'any'].region.length > 0;
}

/** The settings of one client. */
export function describeClient(input: SettingsInput): ClientSettings {
  const row = ROWS[input.client ?? 'any'];
  const { url, region, caFile } = input;
  return {
    set: [
      ...(row.fixed?.(input) ?? []),
      ...row.endpoints.map((name) => [name, url] as const),
      ...credentialOf(row, input),
      ...(region === undefined ? [] : row.region.map((name) => [name, region] as const)),
      ...(caFile === undefined ? [] : row.ca.map((name) => [name, caFile] as const)),
    ],
    unset: row.unset,
    notes: [...(row.notes?.(input) ?? []), ...tellReplacedRoots(row, input)],
    args: row.args?.(input) ?? [],
    obstacle: row.obstacle?.(input),
  };
}

/** What a profile of `~/.aws/config` is made of. */
export interface AwsProfileInput {
  readonly profile: string;
  readonly url: string;
  /** Its credential_process. */
  readonly command: string;
  readonly region: string;
}

/** The lines of ~/.aws/config that send one profile, and nothing else, to the proxy. */
export function formatAwsProfile({ profile, url, command, region }: AwsProfileInput): string {
  const services = SERVICES.map((service) => `${service.toLowerCase()} =\n  endpoint_url = ${url}`);
  return [
    `[profile ${profile}]`,
    `credential_process = ${command}`,
    `services = ${profile}`,
    `region = ${region}`,
    '',
    `[services ${profile}]`,
    ...services,
  ].join('\n');
}

function credentialOf({ credential }: ClientRow, { accessKeyId, key, url }: SettingsInput): [string, string][] {
  switch (credential) {
    case 'pair':
      return [
        ['AWS_ACCESS_KEY_ID', accessKeyId],
        ['AWS_SECRET_ACCESS_KEY', key],
      ];
    case 'bearer':
      return [['AWS_BEARER_TOKEN_BEDROCK', key]];
    case 'openai':
      return [
        ['OPENAI_BASE_URL', `${url}/openai/v1`],
        ['OPENAI_API_KEY', key],
      ];
    case 'codex':
      return [[CODEX_KEY, key]];
    default:
      return credential satisfies never;
  }
}

/** A provider of its own: the built-in ones take no address. What the user says after these wins. */
function argumentsOfCodex({ url }: SettingsInput): string[] {
  const provider = Object.entries({
    name: 'bedrock-proxy',
    base_url: `${url}/openai/v1`,
    env_key: CODEX_KEY,
    wire_api: 'responses',
  });
  const table = provider.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',');
  return ['-c', 'model_provider=bedrock-proxy', '-c', `model_providers.bedrock-proxy={${table}}`];
}

/** For a POSIX shell, to paste. */
function quoteWord(word: string): string {
  return /^[\w=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function tellJavaTrust({ caFile }: SettingsInput): string[] {
  if (caFile === undefined) return [];
  return [
    `Java reads no PEM file: keytool -importcert -noprompt -alias bedrock-proxy -file ${caFile} ` +
      `-keystore proxy.p12 -storepass changeit, ` +
      'then JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=proxy.p12 -Djavax.net.ssl.trustStorePassword=changeit".',
  ];
}

/** NODE_EXTRA_CA_CERTS adds an authority; the others take the place of all that were there. */
function tellReplacedRoots({ ca }: ClientRow, { caFile }: SettingsInput): string[] {
  const replacing = ca.filter((name) => name !== 'NODE_EXTRA_CA_CERTS');
  if (caFile === undefined || replacing.length === 0) return [];
  return [`With ${replacing.join(', ')} the client trusts the proxy's authority and no other.`];
}
