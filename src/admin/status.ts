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
}

/** Makes the handler of `/health/status`. */
export function createStatusEndpoint({
  prove,
  isCommand,
  tell,
}: StatusEndpointOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async ({ target }, clientResponse) => {
    const query = new URLSearchParams(target.query);
    const [challenge, proof] = [query.get('challenge') ?? '', query.get('command') ?? ''];
    if (target.path !== '/health/status' || !isChallenge(challenge) || !isCommand(challenge, proof)) {
      return sendJson(404, { status: 'unknown' }, clientResponse);
    }
    sendJson(200, { proof: prove(challenge), status: await tell() }, clientResponse);
  };
}
