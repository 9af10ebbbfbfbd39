/**
 * One call of the offline Bedrock under a script: finds the rule for the turn, and keeps what it says goes wrong until
 * the reply is there.
 */
import { composeResponse, PLAIN_TURN } from './compose.ts';
import type { OfflineFault } from './faults.ts';
import { uncached } from './invoke-outcome.ts';
import type { ScriptedCall } from './reply.ts';
import type { Script } from './script.ts';

/** Opens it for a call; without a script, the model responds by itself. */
export function openScriptedCall(script: Script | undefined): ScriptedCall {
  let isAsked = false;
  let fault: OfflineFault | undefined;
  return {
    respond: (turn) => {
      isAsked = true;
      const answer = script?.findAnswer(turn);
      if (answer === undefined || 'fault' in answer) {
        fault = answer?.fault;
        return composeResponse(turn);
      }
      return composeResponse(turn, answer.given);
    },
    failWithoutTurn: (modelId, body) => {
      if (isAsked || script === undefined) return;
      const turn = {
        ...PLAIN_TURN,
        modelId,
        userText: Buffer.from(body).toString(),
        tokens: uncached(0),
        maxTokens: 1,
      };
      fault = script.findFault(turn);
    },
    findFault: () => fault,
  };
}
