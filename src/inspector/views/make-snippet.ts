/**
 * A request as something to paste: commands and programs that make it again. No credential is ever in it: they stand as
 * names of variables, `BEDROCK_PROXY_KEY` and AWS's own. Pure.
 */
import type { Exchange } from '../exchange.ts';
import { printAwsCli, printCurl, printDirectCurl, printPowerShell } from './snippet-curl.ts';
import { readSnippetRequest, type Snippet, type SnippetRequest } from './snippet-request.ts';
import { printBoto3, printJavaScript } from './snippet-sdk.ts';

/** What a request can be copied as: the names of the API. */
export const SNIPPET_TARGETS = ['curl', 'powershell', 'curl-aws', 'aws-cli', 'boto3', 'js'] as const;
/** One of them. */
export type SnippetTarget = (typeof SNIPPET_TARGETS)[number];

const PRINTERS: Readonly<Record<SnippetTarget, (request: SnippetRequest) => Snippet>> = {
  curl: printCurl,
  powershell: printPowerShell,
  'curl-aws': printDirectCurl,
  'aws-cli': printAwsCli,
  boto3: printBoto3,
  js: printJavaScript,
};

/** The request of an exchange. `url`: where the proxy listens, with or without a path. */
export function makeSnippet(exchange: Exchange, as: SnippetTarget, { url }: { readonly url: string }): Snippet {
  const request = readSnippetRequest(exchange, url);
  return 'problem' in request ? { text: '', note: request.problem } : PRINTERS[as](request);
}
