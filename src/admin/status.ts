/**
 * `GET /health/status`: how the proxy is and what it did, for the commands of its database, which prove that they are
 * that; nobody else learns that there is such a path. Spends no money.
 */
import { isChallenge } from '../auth/server-proof.ts';
import type { ServerStatus } from '../auth/server-status.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import { sendJson } from '../http/send-response.ts';

/** Whom it tells, and what. */
export interface StatusEndpointOptions {
  readonly prove: (challenge: string) => string | undefined;
  /** Whether the proof is that of a command for this challenge. */
  readonly isCommand: (challenge: string, proof: string) => boolean;
  readonly tell: () => Promise<ServerStatus>;
  /** The token of the inspector, sealed for whoever sent this challenge; undefined: there is none. */
  readonly sealToken: (challenge: string) => string | undefined;
}

/** Makes the handler of `/health/status`. */
export function createStatusEndpoint({
  prove,
  isCommand,
  tell,
  sealToken,
}: StatusEndpointOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async ({ target }, clientResponse) => {
    const query = new URLSearchParams(target.query);
    const [challenge, proof] = [query.get('challenge') ?? '', query.get('command') ?? ''];
    if (target.path !== '/health/status' || !isChallenge(challenge) || !isCommand(challenge, proof)) {
      return sendJson(404, { status: 'unknown' }, clientResponse);
    }
    const inspect = sealToken(challenge);
    sendJson(200, { proof: prove(challenge), status: await tell(), ...(inspect && { inspect }) }, clientResponse);
  };
}
