/** Requests as programs: boto3, and the AWS SDK for JavaScript. Pure. */
import { BLOB_FIELDS, PAYLOAD_FIELDS } from '../../operations/blob-fields.ts';
import {
  findBlobs,
  JAVASCRIPT,
  type LiteralStyle,
  printLiteral,
  printText,
  PYTHON,
  readBlobPaths,
} from './literals.ts';
import { NO_SDK } from './snippet-curl.ts';
import { clientClassName, pythonName } from './snippet-names.ts';
import {
  headerOf,
  readLabels,
  type Snippet,
  type SnippetRequest,
  takesBearer,
  KEY_ID_NOTE,
} from './snippet-request.ts';

/** Where a response has its stream. */
const STREAM_MEMBERS: Readonly<Record<string, string>> = {
  ConverseStream: 'stream',
  InvokeModelWithResponseStream: 'body',
  InvokeAgent: 'completion',
  InvokeInlineAgent: 'completion',
  RetrieveAndGenerateStream: 'stream',
  InvokeFlow: 'responseStream',
  OptimizePrompt: 'optimizedPrompt',
};

/** Headers of InvokeModel that the SDKs have members for. */
const HEADER_MEMBERS: readonly (readonly [header: string, member: string])[] = [
  ['content-type', 'contentType'],
  ['accept', 'accept'],
  ['x-amzn-bedrock-accept', 'accept'],
  ['x-amzn-bedrock-trace', 'trace'],
  ['x-amzn-bedrock-guardrailidentifier', 'guardrailIdentifier'],
  ['x-amzn-bedrock-guardrailversion', 'guardrailVersion'],
  ['x-amzn-bedrock-performanceconfig-latency', 'performanceConfigLatency'],
  ['x-amzn-bedrock-service-tier', 'serviceTier'],
];

/** A call of an operation: what it is given, printed. */
interface Call {
  readonly name: string;
  readonly members: readonly (readonly [name: string, value: string])[];
  /** Members that a file has, which is read before; undefined: none. */
  readonly saved: { readonly lines: readonly string[] } | undefined;
  readonly note: string | undefined;
}

/** A longer body is no literal: nobody reads it, and to print it would hold up others. */
const MAX_PRINTED_BYTES = 256 * 1024;
const SAVE_FIRST = "The body does not fit into a program: save the request's body as request.json first.";

/** How a program reads the body from where the user has saved it. */
const FILES: ReadonlyMap<LiteralStyle, { readonly bytes: string; readonly json: string; readonly end: string }> =
  new Map([
    [
      PYTHON,
      { bytes: 'open("request.json", "rb").read()', json: 'json.loads(open("request.json", "rb").read())', end: '' },
    ],
    [
      JAVASCRIPT,
      { bytes: "readFileSync('request.json')", json: "JSON.parse(readFileSync('request.json', 'utf8'))", end: ';' },
    ],
  ]);

function describeCall(request: SnippetRequest, style: LiteralStyle, indent: string): Call | string {
  const { operation, target, json, body } = request;
  const labels = operation && readLabels(operation, target);
  if (operation?.name === undefined || labels === undefined || target.includes('?')) return NO_SDK;
  if (operation.stream === 'both') return 'A stream in both directions cannot be copied.';
  const path = [...labels].map(([name, value]) => [name, printText(value)] as const);
  const payload = PAYLOAD_FIELDS[operation.name];
  const file = body.length > MAX_PRINTED_BYTES ? FILES.get(style) : undefined;
  const call = { name: operation.name, saved: undefined, note: file && SAVE_FIRST };
  if (payload !== undefined) {
    const accept = headerOf(request, 'accept') === '*/*' || /eventstream/.test(headerOf(request, 'accept') ?? '');
    const headers = HEADER_MEMBERS.flatMap(([header, member]) => {
      const value = header === 'accept' && accept ? undefined : headerOf(request, header);
      return value === undefined ? [] : [[member, printText(value)] as const];
    });
    if (file !== undefined) return { ...call, members: [...path, ...new Map(headers), [payload, file.bytes]] };
    const value =
      json === undefined ? style.decode(printText(body.toString('base64'))) : printLiteral(json, style, [], indent);
    const wrapped = json === undefined ? value : style === PYTHON ? `json.dumps(${value})` : `JSON.stringify(${value})`;
    return { ...call, members: [...path, ...new Map(headers), [payload, wrapped]] };
  }
  if (json === undefined && body.length > 0) return 'The body is no JSON object.';
  const blobs = readBlobPaths(BLOB_FIELDS[operation.name] ?? []);
  if (file !== undefined) {
    const lines = findBlobs(json, blobs).map((steps) => {
      const place = `request${steps.map((step) => `[${typeof step === 'number' ? step : printText(step)}]`).join('')}`;
      return `${place} = ${style.decode(place)}${file.end}`;
    });
    return { ...call, members: path, saved: { lines: [`request = ${file.json}${file.end}`, ...lines, ''] } };
  }
  const members = Object.entries(json ?? {}).map(([name, value]) => {
    const below = blobs.flatMap(([first, ...rest]) => (first === name ? [rest] : []));
    return [name, printLiteral(value, style, below, indent)] as const;
  });
  return { ...call, members: [...path, ...members] };
}

/** What Python takes as the name of an argument. */
const ARGUMENT = /^[A-Za-z_]\w*$/;
const PYTHON_WORDS: ReadonlySet<string> = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global ' +
    'if import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
);

function isArgument(name: string): boolean {
  return ARGUMENT.test(name) && !PYTHON_WORDS.has(name);
}

/** boto3, as a client of the proxy. */
export function printBoto3(request: SnippetRequest): Snippet {
  const call = describeCall(request, PYTHON, '    ');
  if (typeof call === 'string') return { text: '', note: call };
  const { service, region, endpoint } = request;
  const named = call.members.filter(([name]) => isArgument(name)).map(([name, value]) => `    ${name}=${value},\n`);
  const others = call.members.filter(([name]) => !isArgument(name));
  const rest = others.map(([name, value]) => `    **{${printText(name)}: ${value}},\n`);
  const hasBearer = takesBearer(request);
  const settings = [
    printText(service),
    `region_name=${printText(region)}`,
    `endpoint_url=${printText(endpoint)}`,
    ...(hasBearer
      ? []
      : [
          'aws_access_key_id=os.environ["BEDROCK_PROXY_KEY_ID"]',
          'aws_secret_access_key=os.environ["BEDROCK_PROXY_KEY"]',
        ]),
  ];
  const code = [...named, ...rest, ...(call.saved === undefined ? [] : ['    **request,\n'])].join('');
  const read = call.saved?.lines ?? [];
  const used = [code, ...read].join('\n');
  const imports = ['base64', 'json', 'os'].filter((name) => name === 'os' || used.includes(`${name}.`));
  const lines = [
    ...imports.map((name) => `import ${name}`),
    '',
    'import boto3',
    '',
    ...(hasBearer ? ['os.environ["AWS_BEARER_TOKEN_BEDROCK"] = os.environ["BEDROCK_PROXY_KEY"]'] : []),
    `client = boto3.client(\n${settings.map((setting) => `    ${setting},\n`).join('')})`,
    '',
    ...read,
    `response = client.${pythonName(call.name)}(\n${code})`,
    ...readingInPython(call.name),
  ];
  return withNotes(`${lines.join('\n')}\n`, [call.note, hasBearer ? undefined : KEY_ID_NOTE]);
}

function readingInPython(name: string): readonly string[] {
  const member = STREAM_MEMBERS[name];
  if (member !== undefined) return [`for event in response["${member}"]:`, '    print(event)'];
  return name === 'InvokeModel' ? ['print(response["body"].read().decode())'] : ['print(response)'];
}

/** What the program of the user reads and prints with; this one does neither. */
const ENV = ['process', 'env'].join('.');
const PRINT = ['console', 'log'].join('.');

/** The AWS SDK for JavaScript, version 3, as a client of the proxy. */
export function printJavaScript(request: SnippetRequest): Snippet {
  const call = describeCall(request, JAVASCRIPT, '    ');
  if (typeof call === 'string') return { text: '', note: call };
  const { service, region, endpoint, operation } = request;
  const [client, command] = [clientClassName(service), `${call.name}Command`];
  const hasBearer = operation?.service.bearerKeys === true;
  const credentials = hasBearer
    ? [`token: { token: ${ENV}.BEDROCK_PROXY_KEY }`, "authSchemePreference: ['httpBearerAuth']"]
    : [
        `credentials: {\n    accessKeyId: ${ENV}.BEDROCK_PROXY_KEY_ID,\n` +
          `    secretAccessKey: ${ENV}.BEDROCK_PROXY_KEY,\n  }`,
      ];
  const settings = [`region: ${printText(region)}`, `endpoint: ${printText(endpoint)}`, ...credentials];
  const given = call.members.map(([name, value]) => `    ${JAVASCRIPT.name(name)}: ${value},\n`);
  const members = [...given, ...(call.saved === undefined ? [] : ['    ...request,\n'])].join('');
  const [read = '', ...decoded] = call.saved?.lines ?? [];
  const lines = [
    ...(call.note === undefined ? [] : ["import { readFileSync } from 'node:fs';"]),
    `import { ${client}, ${command} } from '@aws-sdk/client-${service}';`,
    '',
    `const client = new ${client}({\n${settings.map((setting) => `  ${setting},\n`).join('')}});`,
    '',
    ...(read === '' ? [] : [`const ${read}`, ...decoded]),
    `const response = await client.send(\n  new ${command}({\n${members}  }),\n);`,
    ...readingInJavaScript(call.name),
  ];
  return withNotes(`${lines.join('\n')}\n`, [call.note, hasBearer ? undefined : KEY_ID_NOTE]);
}

function readingInJavaScript(name: string): readonly string[] {
  const member = STREAM_MEMBERS[name];
  if (member !== undefined) return [`for await (const event of response.${member}) ${PRINT}(event);`];
  return name === 'InvokeModel' ? [`${PRINT}(new TextDecoder().decode(response.body));`] : [`${PRINT}(response);`];
}

function withNotes(text: string, notes: readonly (string | undefined)[]): Snippet {
  const note = notes.filter((told) => told !== undefined).join(' ');
  return note === '' ? { text } : { text, note };
}
