/**
 * What is known of an operation beyond its route: what its use costs, which models it runs and where it names them, how
 * its response is read. Types only. One row per operation, in `rows.ts`; what has no row gets careful defaults in
 * `find-facts.ts`.
 *
 * To add an operation that no AWS SDK model describes: one row in `rows.ts`, with its `routes`. For one that the SDK
 * brings, run `npm run generate`; the tests then name each operation that needs a row.
 */
/**
 * `metered`: the response says what was used (an agent's, if its trace was asked for). `free`: costs nothing.
 * `unreported`: it costs, at once or by what it sets up, or may cost; the response does not say how much.
 */
export type UsageKind = 'metered' | 'free' | 'unreported';

/**
 * What a call does, by which the scope of a key is decided. `read`: changes nothing and runs no model. `inference`: a
 * call of a model, and what clients of models ask around one (counting tokens, listing models). `invoke`: any other use
 * of what is there: agents, sessions, memories, tools. `write`: changes the account, or what others rely on. `secret`:
 * hands out credentials of the account.
 */
export type Effect = 'read' | 'inference' | 'invoke' | 'write' | 'secret';

/**
 * `path`: the model is in the URL, and the body may name further ones. `body`: in the body. `none`: no model runs that
 * a key could be limited to: nothing runs, or only what AWS does besides (a guardrail's classifiers, the embedding of a
 * search). `unknown`: what the caller gets, or a job that it starts, is made by a model that the request does not name
 * (a stored agent's or flow's, or one that AWS chooses); the body may still name some.
 */
export type ModelFieldKind = 'path' | 'body' | 'none' | 'unknown';

/** Where a request names the models that will run. */
export interface ModelFields {
  readonly kind: ModelFieldKind;
  /**
   * Paths in the request's body, as `JsonPaths` reads them. An agent that is handed the work counts as a model's name.
   */
  readonly paths: readonly string[];
  /** A body that names no model is complete, and runs none that the caller chose. Otherwise it must not be trusted. */
  readonly isOptional: boolean;
}

/** The shapes of responses that report usage. */
export type ResponseShape =
  | 'converse'
  | 'converseStream'
  | 'invoke'
  | 'invokeStream'
  | 'bidirectionalStream'
  | 'guardrail'
  | 'guardrailChecks'
  | 'agentStream'
  | 'chat'
  | 'response'
  | 'message';

/** All that is known of an operation. */
export interface OperationFacts {
  readonly usage: UsageKind;
  readonly models: ModelFields;
  /** How its response is read; undefined if it reports no usage. */
  readonly response: ResponseShape | undefined;
  /**
   * The fields of the body that limit the response; `provider`: those of the provider behind InvokeModel. Undefined:
   * not known, so that any field may.
   */
  readonly limits: readonly string[] | 'provider' | undefined;
  /**
   * Where a request asks for a service tier and a latency: in headers, or in the body as that API has it. Undefined:
   * anywhere.
   */
  readonly serving: 'headers' | 'converse' | 'openai' | undefined;
  /** What the operation works with, as far as its price goes. */
  readonly medium: 'text' | 'guardrail' | 'speech';
  /**
   * Where a request may ask for what is sold by the piece, and no response tells of it: in the model's own body, which
   * is the whole or `modelInput` in it, or in the documents of a reranking. Undefined: nowhere.
   */
  readonly media: 'body' | 'modelInput' | 'reranking' | undefined;
  /**
   * Another upstream may be asked if one throttles or fails: the call creates, starts and deletes nothing, and is part
   * of no session. The default is false.
   */
  readonly isRepeatable: boolean;
  /** The name of the operation in OpenTelemetry's conventions for generative AI. */
  readonly genAi: 'chat' | 'invoke_agent' | undefined;
}

/** A row as it is written down: what is left out has the default. */
export interface OperationRow extends Partial<OperationFacts> {
  /** Without it: `read` if its route says so, else `invoke` on a data plane and `write` on a control plane. */
  readonly effect?: Effect;
  /**
   * Only for what no AWS SDK model describes: method, path template and flags, as in `generated.ts`. Method `*` is any
   * method, a last segment `{rest+}` one or more segments; flag `sse`: server-sent events if the body asks for them;
   * `websocket`: an upgrade.
   */
  readonly routes?: readonly string[];
}

/**
 * Rows of one service: names of operations with equal facts, separated by white space; `-` is a route without a name.
 */
export type ServiceRows = readonly (readonly [names: string, row: OperationRow])[];
