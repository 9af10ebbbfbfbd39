/** Requests as commands of shells: curl through the proxy and straight to AWS, PowerShell, and the AWS CLI. Pure. */
import { quotePosix, quotePowerShell } from '../../lib/shell-quote.ts';
import { BLOB_FIELDS } from '../../operations/blob-fields.ts';
import { findBlobs, readBlobPaths } from './literals.ts';
import { cliName } from './snippet-names.ts';
import {
  hasControls,
  headerOf,
  isPastable,
  KEY_ID_NOTE,
  readLabels,
  type Snippet,
  type SnippetRequest,
  takesBearer,
} from './snippet-request.ts';

const SAVE_FIRST = "The body does not fit into a command: save the request's body as request.json first.";

/** `curl`, as a client of the proxy. */
export function printCurl(request: SnippetRequest): Snippet {
  const { endpoint, target } = request;
  return finishCurl(request, [
    `curl ${quoteUrl(`${endpoint}${target}`)}`,
    '-H "Authorization: Bearer $BEDROCK_PROXY_KEY"',
  ]);
}

/** What curl signs as AWS wants it: it takes a path as it stands, and AWS takes it encoded once more. */
const SIGNABLE_PATH = /^[A-Za-z0-9/_.~-]*$/;

/** `curl` straight to AWS, signed by itself. */
export function printDirectCurl(request: SnippetRequest): Snippet {
  const { direct, region } = request;
  if (direct === undefined) return { text: '', note: 'The request did not go to AWS.' };
  const [path = '', query] = direct.target.split('?');
  if (!SIGNABLE_PATH.test(path) || query !== undefined) {
    return {
      text: '',
      note:
        'curl does not sign this path as AWS wants it (it has other characters than letters, digits and -._~, ' +
        'or a query). Copy the request for the proxy, or for an SDK.',
    };
  }
  return finishCurl(request, [
    `curl ${quoteUrl(`https://${direct.authority}${direct.target}`)}`,
    `--aws-sigv4 ${quotePosix(`aws:amz:${region}:${direct.signingName}`)}`,
    '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
    '${AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}',
  ]);
}

/** curl reads brackets and braces in a URL as lists. */
function quoteUrl(url: string): string {
  return /[[\]{}]/.test(url) ? `-g ${quotePosix(url)}` : quotePosix(url);
}

function finishCurl(request: SnippetRequest, words: readonly string[]): Snippet {
  const { method, headers, body, operation } = request;
  const isStream = operation?.stream === 'events' || /stream/i.test(headerOf(request, 'accept') ?? '');
  const isPlainPost = method === 'POST' && body.length > 0;
  const [first = '', ...rest] = words;
  const lines = [
    [first, ...(isStream ? ['-N --output -'] : []), ...(isPlainPost ? [] : [`-X ${quotePosix(method)}`])].join(' '),
    ...rest,
    ...headers.map(([name, value]) => `-H ${quotePosix(value === '' ? `${name};` : `${name}: ${value}`)}`),
    // Without it, curl would say that it is a form.
    ...(body.length > 0 && headerOf(request, 'content-type') === undefined ? ["-H 'content-type:'"] : []),
    ...(body.length === 0
      ? []
      : [isPastable(body) ? `--data-raw ${quoteAlways(body)}` : '--data-binary @request.json']),
  ];
  const text = lines.join(' \\\n  ');
  return isPastable(body) ? { text } : { text, note: SAVE_FIRST };
}

function quoteAlways(body: Buffer): string {
  const quoted = quotePosix(body.toString());
  return quoted.startsWith("'") ? quoted : `'${quoted}'`;
}

/** PowerShell, without a program: what it hands to one, its versions quote in different ways. */
export function printPowerShell(request: SnippetRequest): Snippet {
  const { endpoint, target, method, headers, body } = request;
  const type = headerOf(request, 'content-type');
  const others = headers.filter(([name]) => name !== 'content-type');
  const pairs = [
    'Authorization = "Bearer $env:BEDROCK_PROXY_KEY"',
    ...others.map(([name, value]) => `${quotePowerShell(name)} = ${quotePowerShell(value)}`),
  ];
  const uri = quotePowerShell(`${endpoint}${target}`);
  const bytes = isPastable(body)
    ? `([Text.Encoding]::UTF8.GetBytes(${quotePowerShell(body.toString())}))`
    : "([IO.File]::ReadAllBytes((Resolve-Path 'request.json')))";
  const text = [
    `Invoke-WebRequest -UseBasicParsing -Method ${quotePowerShell(method)} -Uri ${uri}`,
    `-Headers @{ ${pairs.join('; ')} }`,
    ...(type === undefined ? [] : [`-ContentType ${quotePowerShell(type)}`]),
    ...(body.length === 0 ? [] : [`-Body ${bytes}`]),
  ].join(' `\n  ');
  return isPastable(body) ? { text } : { text, note: SAVE_FIRST };
}

/** What the AWS CLI, which has no streams, calls in their place. */
const TWINS: Readonly<Record<string, string>> = {
  ConverseStream: 'Converse',
  InvokeModelWithResponseStream: 'InvokeModel',
  RetrieveAndGenerateStream: 'RetrieveAndGenerate',
};

/** The AWS CLI, as a client of the proxy. */
export function printAwsCli(request: SnippetRequest): Snippet {
  const { operation, endpoint, target, region, body, json } = request;
  const twin = TWINS[operation?.name ?? ''];
  const name = twin ?? operation?.name;
  const labels = operation && readLabels(operation, target);
  const isStream = operation?.stream !== 'none' && twin === undefined;
  if (operation === undefined || name === undefined || labels === undefined || isStream || target.includes('?')) {
    return { text: '', note: isStream && operation !== undefined ? 'The AWS CLI has no streams.' : NO_SDK };
  }
  if ([...labels.values()].some(hasControls)) return { text: '', note: NO_SDK };
  const isPayload = name === 'InvokeModel';
  if (!isPayload && json === undefined && body.length > 0) return { text: '', note: 'The body is no JSON object.' };
  const isShort = isPastable(body);
  const words = [
    ...credentialWords(request),
    `aws ${operation.service.id} ${cliName(name)}`,
    `--endpoint-url ${quotePosix(endpoint)} --region ${quotePosix(region)}`,
    ...[...labels].map(([label, value]) => `--${cliName(label)} ${quotePosix(value)}`),
    ...(isPayload
      ? [...payloadOptions(request), `--body fileb://${isShort ? '/dev/stdin' : 'request.json'}`, '/dev/stdout']
      : body.length === 0
        ? []
        : [`--cli-input-json ${isShort ? quoteAlways(body) : 'file://request.json'}`]),
  ];
  const command = words.join(' \\\n  ');
  const text = isPayload && isShort ? `printf %s ${quoteAlways(body)} |\n  ${command}` : command;
  const notes = [
    isShort ? '' : SAVE_FIRST,
    twin === undefined ? '' : `The AWS CLI has no streams: this is ${twin}.`,
    findBlobs(json, readBlobPaths(BLOB_FIELDS[name] ?? [])).length > 0 ? BASE64 : '',
    takesBearer(request) ? '' : KEY_ID_NOTE,
  ];
  const note = notes.filter((told) => told !== '').join(' ');
  return note === '' ? { text } : { text, note };
}

const BASE64 = 'It has bytes in base64, as version 2 of the AWS CLI wants them; version 1 would encode them again.';

/** Of operations that only HTTP clients can call. */
export const NO_SDK = 'The AWS SDKs do not know this request. Copy it for curl.';

/** A key is a Bearer token where AWS takes one, else a pair. */
function credentialWords(request: SnippetRequest): readonly string[] {
  if (takesBearer(request)) return ['AWS_BEARER_TOKEN_BEDROCK="$BEDROCK_PROXY_KEY"'];
  return ['AWS_ACCESS_KEY_ID="$BEDROCK_PROXY_KEY_ID" AWS_SECRET_ACCESS_KEY="$BEDROCK_PROXY_KEY"'];
}

function payloadOptions(request: SnippetRequest): readonly string[] {
  const [type, accept] = [headerOf(request, 'content-type'), headerOf(request, 'accept')];
  return [
    ...(type === undefined ? [] : [`--content-type ${quotePosix(type)}`]),
    ...(accept === undefined || accept === '*/*' || /eventstream/.test(accept)
      ? []
      : [`--accept ${quotePosix(accept)}`]),
  ];
}
