/** What `start` refuses before it opens its port: what would serve strangers, and what could never sign. */
import { type Config, needsNoAccount } from '../config/config.ts';
import type { Environment } from '../config/options.ts';
import type { ServerAccess } from '../auth/server-facts.ts';
import { MIN_MASTER_KEY_LENGTH } from '../auth/master-key.ts';
import { ACCESS_KEY_ID_PREFIX } from '../keys/secret.ts';
import { ProxyError } from '../lib/errors.ts';
import { isLoopbackName } from '../lib/loopback.ts';
import { virtualCredentials } from '../upstream/aws/credentials.ts';
import { printTalk } from './print.ts';

/**
 * Throws ERR_BAD_OPTION for a pair of ours. What the environment holds does not change: no request would go through.
 */
export function refuseVirtualPair(config: Config, environment: Environment): void {
  const { profile, apiKey } = config;
  if (profile !== undefined || needsNoAccount(config) || apiKey !== undefined) return;
  if (environment['AWS_ACCESS_KEY_ID']?.startsWith(ACCESS_KEY_ID_PREFIX) !== true) return;
  const { message, hint } = virtualCredentials('environment variables');
  throw new ProxyError('ERR_BAD_OPTION', message, { hint });
}

/**
 * The master key makes keys and is one. On loopback LiteLLM's `sk-1234` may do; a network guesses it in no time: throws
 * ERR_BAD_OPTION.
 */
export function refuseWeakMasterKey({ hosts, masterKey, quiet }: Config, talks: boolean): void {
  if (masterKey === undefined || masterKey.length >= MIN_MASTER_KEY_LENGTH) return;
  const told = `The master key has fewer than ${MIN_MASTER_KEY_LENGTH} characters: it can be guessed.`;
  if (!hosts.every(isLoopbackName)) {
    throw new ProxyError('ERR_BAD_OPTION', told, {
      hint: 'Set a longer BEDROCK_PROXY_MASTER_KEY, or listen on 127.0.0.1.',
    });
  }
  if (talks && !quiet) printTalk(`warning: ${told}`);
}

/** Throws ERR_BAD_OPTION if anybody in a network could come in. */
export function refuseOpenNetwork({ hosts }: Config, access: ServerAccess): void {
  const host = hosts.find((each) => !isLoopbackName(each));
  if (access !== 'open' || host === undefined) return;
  throw new ProxyError('ERR_BAD_OPTION', `Without keys the proxy would serve everybody who can reach ${host}.`, {
    hint: 'Make a key first (`bedrock-proxy key generate`), set BEDROCK_PROXY_MASTER_KEY, or listen on 127.0.0.1.',
  });
}
