/**
 * Checks of the environment alone: variables by which a client goes past the proxy, by which the proxy's own calls come
 * back to it, and those of forward proxies and certificate authorities. Values that may hold secrets are not shown.
 */
import { existsSync } from 'node:fs';
import { ACCESS_KEY_ID_PREFIX, looksLikeKey } from '../../keys/secret.ts';
import type { Environment } from '../../config/options.ts';
import { isLoopbackName } from '../../lib/loopback.ts';
import { type CheckResult, fail, ok, showUrl, warn } from './check.ts';

/** Where a virtual key is wanted but another credential is set. */
const SET_AGAIN = 'In the client\'s shell: eval "$(bedrock-proxy env)"; it replaces this.';

/** One result for each variable that matters, or one that says there is none. `port` is the proxy's. */
export function checkVariables(environment: Environment, port: number): CheckResult[] {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  const results = [
    ...Object.keys(environment)
      .filter((name) => (name.startsWith('AWS_ENDPOINT_URL') || name === BASE_URL) && isSet(name))
      .toSorted()
      .map((name) => checkEndpoint(name, environment[name] ?? '', port)),
    ...checkCredentialVariables(environment, isSet),
  ];
  return results.length > 0 ? results : [ok('variables', 'none that would lead a client past the proxy')];
}

const BASE_URL = 'ANTHROPIC_BEDROCK_BASE_URL';

function checkEndpoint(name: string, value: string, port: number): CheckResult {
  const shown = `${name}=${showUrl(value)}`;
  const leadsHere = isOurAddress(value, port);
  if (name === 'AWS_ENDPOINT_URL') {
    return leadsHere
      ? fail(
          'variables',
          `${shown} sends every AWS service here, the proxy's own calls to STS and SSO too`,
          'Unset it; AWS_ENDPOINT_URL_BEDROCK_RUNTIME and its sisters (`bedrock-proxy env`) name single services.',
        )
      : warn(
          'variables',
          `${shown} sends every AWS service there, the proxy's own calls to STS and SSO too`,
          'Unset it.',
        );
  }
  if (/^AWS_ENDPOINT_URL_(STS|SSO|SSO_OIDC|SIGNIN)$/.test(name)) {
    const hint = 'Unset it, unless that address really hands out your credentials.';
    return leadsHere
      ? fail('variables', `${shown} sends the proxy's own look-up of credentials to itself`, hint)
      : warn('variables', `${shown}: the proxy looks for credentials there`, hint);
  }
  if (leadsHere) return ok('variables', `${shown} leads here`);
  if (!name.startsWith('AWS_ENDPOINT_URL_BEDROCK') && name !== BASE_URL)
    return ok('variables', `${shown} is not Bedrock's`);
  return warn('variables', `${shown} leads clients past the proxy (port ${port})`, SET_AGAIN);
}

function checkCredentialVariables(environment: Environment, isSet: (name: string) => boolean): CheckResult[] {
  const results: CheckResult[] = [];
  const bearer = environment['AWS_BEARER_TOKEN_BEDROCK'] ?? '';
  if (bearer !== '') {
    results.push(
      looksLikeKey(bearer)
        ? ok('variables', 'AWS_BEARER_TOKEN_BEDROCK holds a virtual key')
        : warn(
            'variables',
            'AWS_BEARER_TOKEN_BEDROCK holds no virtual key: right for the proxy itself, but clients of this ' +
              'shell would send it',
            SET_AGAIN,
          ),
    );
  }
  if ((environment['AWS_ACCESS_KEY_ID'] ?? '').startsWith(ACCESS_KEY_ID_PREFIX)) {
    const message = 'AWS_ACCESS_KEY_ID holds a virtual key: a proxy started from this shell would sign with it';
    const hint = 'Start the proxy from another shell, or unset AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY first.';
    results.push(warn('variables', message, hint));
  }
  if (isSet('CLAUDE_CODE_SKIP_BEDROCK_AUTH') && !isSet('ANTHROPIC_AUTH_TOKEN')) {
    const message = 'CLAUDE_CODE_SKIP_BEDROCK_AUTH makes Claude Code send no key';
    results.push(warn('variables', message, 'Unset it, or set ANTHROPIC_AUTH_TOKEN to a virtual key.'));
  }
  if (isSet('CLAUDE_CODE_USE_BEDROCK') && !isSet(BASE_URL)) {
    const message = `CLAUDE_CODE_USE_BEDROCK without ${BASE_URL} leads Claude Code past the proxy`;
    results.push(warn('variables', message, 'eval "$(bedrock-proxy env --for claude-code)"'));
  }
  if (/^true$/i.test(environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] ?? '')) {
    const message =
      'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS makes the SDKs ignore AWS_ENDPOINT_URL_…: they go past the proxy';
    results.push(warn('variables', message, 'Unset it.'));
  }
  return results;
}

/** Forward proxies and certificate authorities, for clients and for the proxy itself. */
export function checkNetworkVariables(environment: Environment): CheckResult[] {
  const read = (name: string): string => environment[name] ?? environment[name.toLowerCase()] ?? '';
  const forward = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'].filter((name) => read(name) !== '');
  const shown = forward.map((name) => `${name}=${showUrl(read(name))}`).join(', ');
  const noProxy = read('NO_PROXY').split(/[\s,]+/);
  const results: CheckResult[] = [];
  if (forward.length === 0) results.push(ok('proxies', 'HTTPS_PROXY and HTTP_PROXY are not set'));
  else if (noProxy.includes('localhost') || noProxy.includes('*')) {
    results.push(ok('proxies', `${shown}; NO_PROXY leaves localhost out`));
  } else {
    const message = `${shown}: clients would ask that one for localhost`;
    results.push(warn('proxies', message, 'Set NO_PROXY=localhost,127.0.0.1 for clients (`bedrock-proxy env` does).'));
  }
  results.push(checkAuthorities(environment));
  return results;
}

/** What the proxy trusts besides Node's own list: the file of Node's variable, and that of AWS's. */
function checkAuthorities(environment: Environment): CheckResult {
  const files = ['NODE_EXTRA_CA_CERTS', 'AWS_CA_BUNDLE'].filter((name) => (environment[name] ?? '') !== '');
  const missing = files.find((name) => !existsSync(environment[name] ?? ''));
  const shown = files.map((name) => `${name}=${environment[name]}`).join(', ');
  if (missing !== undefined) {
    return fail('certificates', `${shown}: the file of ${missing} is not there`, `Correct or unset ${missing}.`);
  }
  if (files.length > 0) return ok('certificates', shown);
  return ok(
    'certificates',
    "Node's own authorities, and the system's; AWS_CA_BUNDLE and NODE_EXTRA_CA_CERTS are not set",
  );
}

function isOurAddress(value: string, port: number): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  const actual = Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port);
  return actual === port && isLoopbackName(url.hostname.replace(/^\[|\]$/g, ''));
}
