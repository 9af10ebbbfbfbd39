/**
 * Routes that AWS serves but no AWS SDK model describes: the OpenAI and Anthropic shapes, AgentCore's WebSockets, and
 * operations AWS added after the installed SDK clients were made. Written by hand, in the format of operations.ts.
 * Data only. Names are the IAM action's where there is one, otherwise ours; `-` means that the route has no name.
 */
import type { ModelledServiceId } from './generated.ts';

/** Every service a request can go to. The last two have no AWS model. */
export type ServiceId = ModelledServiceId | 'bedrock-mantle' | 'agentcore-gateway';

interface ManualTable {
  readonly id: ServiceId;
  /**
   * As in `ServiceTable.operations`, and also: method `*` is any method, a last segment `{rest+}` is one or more segments,
   * flag `sse` answers server-sent events where the body asks for them, flag `websocket` is an upgrade.
   */
  readonly operations: string;
}

/** Served by bedrock-runtime and by mantle alike; see https://docs.aws.amazon.com/bedrock/latest/userguide/inference-openai.html */
const SHARED_SHAPES = `
POST /openai/v1/chat/completions ChatCompletions sse
POST /openai/v1/responses CreateResponse sse
GET /openai/v1/models ListModels read
* /openai/{rest+} - sse
POST /anthropic/v1/messages CreateMessage sse
* /anthropic/{rest+} - sse
`;

export const MANUAL_TABLES: readonly ManualTable[] = [
  { id: 'bedrock-runtime', operations: SHARED_SHAPES },
  { id: 'bedrock-mantle', operations: SHARED_SHAPES },
  {
    id: 'bedrock-mantle',
    operations: `
POST /anthropic/v1/messages/count_tokens CountMessageTokens read
GET /openai/v1/agents/sessions ListAgentSessions read
POST /openai/v1/agents/sessions CreateAgentSession
GET /openai/v1/agents/sessions/{sessionId} GetAgentSession read
DELETE /openai/v1/agents/sessions/{sessionId} DeleteAgentSession
GET /openai/v1/agents/sessions/{sessionId}/events StreamAgentEvents read sse
POST /openai/v1/agents/sessions/{sessionId}/events SubmitAgentEvents
GET /openai/v1/agents/sessions/{sessionId}/items ListAgentItems read
* /openai/v1/agents/sessions/{rest+} - sse
POST /v1/chat/completions ChatCompletions sse
GET /v1/models ListModels read
POST /v1/responses CreateResponse sse
GET /v1/responses/{responseId} GetResponse read sse
DELETE /v1/responses/{responseId} DeleteResponse
POST /v1/responses/{responseId}/cancel CancelResponse
* /v1/{rest+} - sse
`,
  },
  {
    id: 'bedrock-agentcore',
    operations: `
GET /browser-streams/{browserIdentifier}/sessions/{sessionId}/automation ConnectBrowserAutomationStream websocket
GET /browser-streams/{browserIdentifier}/sessions/{sessionId}/live-view ConnectBrowserLiveViewStream sse
* /runtimes/{agentRuntimeArn}/invocations/{rest+} InvokeAgentRuntimeSubpath sse
GET /runtimes/{agentRuntimeArn}/ws InvokeAgentRuntimeWithWebSocketStream websocket
GET /runtimes/{agentRuntimeArn}/ws/shells InvokeAgentRuntimeShell websocket
`,
  },
  {
    // In botocore's model, not yet in @aws-sdk/client-bedrock-agent 3.1138. A test tells when the rows can go.
    id: 'bedrock-agent',
    operations: `
GET /knowledgebases/{knowledgeBaseId}/vpcconfigurations/ ListVpcConfigurations read
POST /knowledgebases/{knowledgeBaseId}/vpcconfigurations/ CreateVpcConfiguration
DELETE /knowledgebases/{knowledgeBaseId}/vpcconfigurations/{vpcConfigurationId} DeleteVpcConfiguration
GET /knowledgebases/{knowledgeBaseId}/vpcconfigurations/{vpcConfigurationId} GetVpcConfiguration read
`,
  },
];
