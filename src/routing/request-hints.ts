/**
 * What the headers and the query of one request say about where it wants to go, gathered in one pass. Pure; decides
 * nothing.
 */
import type { HeaderPair } from '../http/message.ts';
import { type ServiceId, SERVICES } from '../operations/catalog.ts';
import type { ClaimedScope } from '../protocol/sigv4/scope.ts';

/** What headers say of where a request wants to go, beside its path. */
export interface RequestHints {
  /** Every value of `X-Amz-Target`, in order. */
  readonly targets: readonly string[];
  /** `x-bedrock-proxy-region`, trimmed. */
  readonly regionHeader: string | undefined;
  /** The service whose SDK client sent this, as its user agent says. */
  readonly clientOf: ServiceId | undefined;
  readonly scope: Pick<ClaimedScope, 'region' | 'service'> | undefined;
  /** Whether the client asks for an upgrade to WebSocket. */
  readonly asksForWebSocket: boolean;
}

/** Reads the hints; never throws. `scope` is what the client signed for, as `PresentedCredential` has it. */
export function readRequestHints(headers: readonly HeaderPair[], scope: RequestHints['scope']): RequestHints {
  const targets: string[] = [];
  let regionHeader: string | undefined;
  let userAgent: string | undefined;
  let upgrade: string | undefined;
  for (const [name, value] of headers) {
    switch (name.toLowerCase()) {
      case 'x-amz-target':
        targets.push(value.trim());
        break;
      case 'x-bedrock-proxy-region':
        regionHeader ??= value.trim();
        break;
      case 'user-agent':
        userAgent ??= value;
        break;
      case 'upgrade':
        upgrade ??= value;
        break;
      default:
    }
  }
  return {
    targets,
    regionHeader,
    clientOf: userAgent === undefined ? undefined : findClientService(userAgent),
    scope,
    asksForWebSocket: upgrade !== undefined && upgrade.trim().toLowerCase() === 'websocket',
  };
}

const SERVICES_BY_LETTERS: ReadonlyMap<string, ServiceId> = new Map(
  [...SERVICES.values()].filter(({ id }) => id !== 'agentcore-gateway').map(({ id }) => [lettersOf(id), id]),
);

/**
 * The service in a user agent's `api/<service>` token. SDKs spell it differently (`bedrock-runtime`, `Bedrock_Runtime`,
 * `bedrockruntime`), so only its letters are compared. Anthropic's mantle client has a name instead of a token.
 */
export function findClientService(userAgent: string): ServiceId | undefined {
  if (userAgent.startsWith('AnthropicBedrockMantle/')) return 'bedrock-mantle';
  const at = userAgent.indexOf('api/');
  if (at === -1) return undefined;
  for (const [, token = ''] of userAgent.matchAll(/(?:^|\s)api\/([A-Za-z_-]{1,64})/g)) {
    const service = SERVICES_BY_LETTERS.get(lettersOf(token));
    if (service !== undefined) return service;
  }
  return undefined;
}

function lettersOf(text: string): string {
  return text.replaceAll(/[^A-Za-z]/g, '').toLowerCase();
}
