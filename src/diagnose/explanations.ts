/**
 * What AWS's errors mean, and what helps: one entry for each, as data. Matched on AWS's type first, then on pieces of
 * its message, because wordings drift. In steps, `{model}`, `{region}`, `{service}`, `{operation}`, `{profiles}`,
 * `{arns}`, `{actions}` and `{field}` stand for what is known of the request; a step whose word is not known is left
 * out.
 */

/** One kind of error. */
export interface Explanation {
  readonly id: string;
  /** Undefined: of any status. */
  readonly status?: readonly number[];
  /** AWS's type, without `Exception` at its end and without regard to case; undefined: of any. */
  readonly type?: readonly string[];
  /** All of these are in the message, which is in lower case, with straight quotes. */
  readonly message: readonly RegExp[];
  /** None of these is. */
  readonly unless?: readonly RegExp[];
  readonly cause: string;
  readonly steps: readonly string[];
  readonly link?: string;
  readonly retry: 'never' | 'later' | 'after-fix';
  /** When the entry was last compared with documents and reports. */
  readonly checked: string;
}

const GUIDE = 'https://docs.aws.amazon.com/bedrock/latest/userguide/';
const TROUBLE = `${GUIDE}troubleshooting-api-error-codes.html`;
const PROFILES = `${GUIDE}inference-profiles-support.html`;
const ACCESS = `${GUIDE}model-access.html`;
const QUOTAS = `${GUIDE}quotas.html`;
const CACHING = `${GUIDE}prompt-caching.html`;
const CHECKED = '2026-11-28';

const DENIED = ['AccessDenied', 'AccessDeniedException', 'permission_error', 'Forbidden'];
const THROTTLED = ['Throttling', 'TooManyRequests', 'ServiceQuotaExceeded', 'rate_limit_error'];

/** One of them. */
function anyOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'));
}

/** Each matches what no other does. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    id: 'on-demand-not-supported',
    message: [/on-demand throughput/, /isn't supported|not supported/],
    cause: 'This model can be called through an inference profile only, not by its own id.',
    steps: ['Call it as {profiles}.', 'The profile decides in which regions it may run.'],
    link: PROFILES,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'no-access-to-model',
    type: DENIED,
    message: [/you don't have access to the model/],
    cause: 'The account has no access to this model in this region, or the id belongs to another region or is retired.',
    steps: [
      'Check the access to {model} in {region}: it is granted for each region.',
      'If the model is there through an inference profile only, call {profiles}.',
    ],
    link: ACCESS,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'marketplace-permissions',
    message: [/aws-marketplace:/],
    cause: 'The first use of this model makes a subscription in AWS Marketplace, which this identity may not make.',
    steps: [
      'Have somebody with aws-marketplace:ViewSubscriptions and aws-marketplace:Subscribe call it once, or grant both.',
      'A new subscription takes some minutes.',
    ],
    link: ACCESS,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'agreement',
    message: [/agreement/, /failed|pending|being created|not (?:yet )?(?:signed|accepted|available)|in progress/],
    unless: [/aws-marketplace:/],
    cause: 'The agreement for this model is not made yet, or could not be made.',
    steps: ['Wait a quarter of an hour.', 'If it stays so, look at payment method and country in Billing.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'use-case-form',
    message: [/use case details|use-case details|ftuformnotfilled/],
    cause: 'Anthropic wants a form about the use case once for each account, and it was not sent.',
    steps: [
      'Send it in the console of Amazon Bedrock, under model access.',
      'It counts after about a quarter of an hour.',
    ],
    link: ACCESS,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'not-authorized-action',
    type: DENIED,
    message: [/is not authorized to perform: /],
    unless: [/aws-marketplace:/, /with an explicit deny/],
    cause: 'The policy of the identity that signs does not allow this action on all that the call touches.',
    steps: [
      'Allow {actions} on {arns}.',
      'A cross-region profile needs the profile and the foundation model in every region that it leads to: ' +
        'an ARN without region is that of a global profile.',
    ],
    link: `${GUIDE}security_iam_id-based-policy-examples.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'explicit-deny',
    type: DENIED,
    message: [/is not authorized to perform: /, /with an explicit deny/],
    unless: [/aws-marketplace:/],
    cause: 'A policy denies this expressly: often one of the organization, for regions or models.',
    steps: [
      'Ask who keeps the policies of the organization about {actions} on {arns}.',
      'A profile that leads to a denied region is denied as a whole: take one whose regions are all allowed.',
    ],
    link: 'https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html',
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'invalid-model-id',
    message: [/(?:provided )?model identifier is invalid|invalid model (?:id|identifier)/],
    cause:
      'There is no such model in this region: a slip in the id, a profile of another geography, or another region.',
    steps: ['Look it up: `bedrock-proxy models`.', 'In {region} a profile begins with {profiles}.'],
    link: `${GUIDE}models-supported.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'end-of-life',
    message: [/end of its life|marked .{0,80}as legacy|model version .{0,40}(?:retired|deprecated)/],
    cause: 'The model is retired, or is legacy and was not used for a while.',
    steps: ['Take its successor: `bedrock-proxy models` lists what is there.'],
    link: `${GUIDE}model-lifecycle.html`,
    retry: 'never',
    checked: CHECKED,
  },
  {
    id: 'tokens-per-day',
    message: [/too many tokens per day/],
    cause: 'The quota of tokens for a day is used up; new accounts have a small one.',
    steps: ['Wait for its reset, or take another model or region.', 'Ask for more in Service Quotas.'],
    link: QUOTAS,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'tokens-per-minute',
    type: THROTTLED,
    message: [/too many tokens/],
    unless: [/per day/],
    cause: 'The tokens of {model} for a minute are used up: the input and all of max_tokens count from the start on.',
    steps: [
      'Lower max_tokens to what a response needs: all of it is reserved.',
      'Cache what is the same in each prompt: what is read from the cache does not count.',
      'Spread it: a cross-region profile, or a fallback (`start --fallback`).',
    ],
    link: QUOTAS,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'requests-per-minute',
    type: THROTTLED,
    message: [/too many requests|rate exceeded|request rate|requests per minute/],
    cause: 'More requests came in a minute than the quota of this model allows.',
    steps: ['Wait a moment longer after each refusal, with some chance in it.', 'Make fewer calls at the same time.'],
    link: QUOTAS,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'too-many-connections',
    message: [/too many connections/],
    cause: 'AWS has no capacity for this model at this moment; your quota is not what is used up.',
    steps: ['Try again, or call a cross-region profile: {profiles}.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'unable-to-process',
    message: [/unable to process your request/],
    cause: 'Something failed at AWS for a moment. In a stream it comes after a good status.',
    steps: ['Send the whole request again.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'overloaded',
    type: ['overloaded_error', 'Overloaded'],
    message: [],
    cause: 'The model has no capacity at this moment.',
    steps: ['Wait a moment, or call another profile: {profiles}.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'model-not-ready',
    type: ['ModelNotReady'],
    message: [],
    cause: 'An imported model, or one on provisioned throughput, is still being loaded.',
    steps: ['Try again in some minutes; SDKs do that by themselves.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'model-timeout',
    type: ['ModelTimeout'],
    message: [],
    cause: 'The model took longer than AWS lets it.',
    steps: ['Ask for less at once, and for a stream.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'model-error',
    type: ['ModelError', 'ModelStreamError', 'modelStreamError'],
    message: [],
    cause: 'The model itself failed at this request.',
    steps: ['Try it once more; if it fails again, something in this request is what it fails at.'],
    link: TROUBLE,
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'input-too-long',
    message: [/input is too long|prompt is too long|too long for requested model|exceeds? the (?:maximum )?context/],
    cause: 'The prompt is longer than the window of the model.',
    steps: ['Compact the conversation, or leave out tools that are not needed.', 'Take a model with a larger window.'],
    link: `${GUIDE}models-supported.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'max-tokens-too-high',
    message: [/maximum tokens you requested exceeds|max_tokens: \d+ > \d+/],
    cause: 'max_tokens is more than this model can write.',
    steps: ['Set it to the limit that the message names.'],
    link: `${GUIDE}model-parameters.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'extraneous-key',
    message: [/extraneous key|malformed input request/],
    cause: 'The request has a field that this model or this operation does not know.',
    steps: ['Take {field} out, or send it to the API that has it: Converse and InvokeModel have other fields.'],
    link: `${GUIDE}model-parameters.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'extra-inputs',
    message: [/extra inputs are not permitted/],
    cause: "The request has a field of Anthropic's own API that Bedrock does not have.",
    steps: [
      'Take {field} out.',
      "Switch the client's experimental features off: Claude Code has CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1.",
    ],
    link: `${GUIDE}model-parameters-anthropic-claude-messages.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'invalid-beta',
    message: [/invalid beta flag|unsupported beta|beta .{0,60}not supported/],
    cause: 'A value of anthropic-beta is not known to Bedrock, or not to this model.',
    steps: [
      'Leave it out of anthropic-beta, header or body.',
      'Claude Code sends none with CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1.',
    ],
    link: `${GUIDE}model-parameters-anthropic-claude-messages-request-response.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'tool-config-missing',
    message: [/toolconfig field must be defined/],
    cause: 'The conversation has calls of tools, and the request names no tools.',
    steps: ['Send the tools again with every request, also if none is to be called.'],
    link: `${GUIDE}tool-use.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'tool-results-missing',
    message: [
      anyOf(
        /expected toolresult blocks/,
        /tool_use\W{1,3}ids? .{0,80}without .{0,40}tool_result/,
        /tool_result.{0,60}corresponding/,
        /toolresult.{0,80}(?:exceeds|does not match)/,
        /cannot be provided in the same turn/,
      ),
    ],
    cause: 'Calls of tools and their results do not belong together: the history was cut or put in another order.',
    steps: ['Each toolUse wants its toolResult in the very next message, by the same id, and no other.'],
    link: `${GUIDE}tool-use.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'blank-text',
    message: [
      /text field in the contentblock.{0,80}blank|text content blocks must be non-empty|must contain non-whitespace/,
    ],
    cause: 'A block of text is empty, or only white space.',
    steps: ['Leave it out: {field}.', 'Leave it out.'],
    link: `${GUIDE}conversation-inference.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'sampling-parameters',
    message: [
      anyOf(
        /temperature.{0,40}top_?p.{0,60}(?:cannot|both)/,
        /top_?p.{0,60}(?:must be unset|unset when)/,
        /temperature.{0,40}may only be set to 1/,
        /thinking\.type.{0,40}(?:not supported|enabled)/,
        /temperature.{0,20}(?:is )?deprecated/,
      ),
    ],
    cause: 'This model does not take these parameters together: temperature with top_p, or either with thinking.',
    steps: ['Send one of temperature and top_p, and neither with thinking.', 'From Opus 4.7 on thinking is adaptive.'],
    link: `${GUIDE}model-parameters-anthropic-claude-messages-request-response.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'cache-markers',
    message: [
      anyOf(
        /maximum of 4 blocks with cache_control/,
        /ttl='1h'.{0,60}must not come after/,
        /cache ?point cannot be inserted/,
        /cache_control cannot be set/,
      ),
    ],
    cause:
      'Markers of prompt caching stand where none may: more than four, a longer ttl after a shorter one, ' +
      'or after a block that takes none.',
    steps: [
      'Keep four markers at most, one-hour ones first, none on thinking or empty text.',
      'The Cache tab of the inspector names the marker.',
    ],
    link: CACHING,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'caching-not-supported',
    message: [/(?:did not allow|does not support) prompt caching|unsupported model or your request did not allow/],
    cause: 'This model takes no markers of prompt caching, or not in this operation.',
    steps: ['Leave cachePoint and cache_control out, or take a model that caches.'],
    link: CACHING,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'data-retention',
    message: [/data retention mode/],
    cause: 'The model wants a setting for data retention that this account or project does not have.',
    steps: ['Set it in the console of Amazon Bedrock, or by its API: it says for how long prompts may be kept.'],
    link: `${GUIDE}data-protection.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'expired-token',
    message: [
      /security token .{0,40}expired|token has expired|sso session.{0,40}expired|the provided token is expired/,
    ],
    cause: 'The credentials that sign have run out.',
    steps: [
      'Log in again on the machine of the proxy, with the profile that it uses: `aws sso login`.',
      '`start --aws-auth-refresh` does it by itself.',
    ],
    link: 'https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html',
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'invalid-token',
    message: [/security token included in the request is invalid|invalidclienttokenid|unrecognizedclient/],
    cause:
      'AWS does not know these credentials: they are mixed from two sources, lack their session token, or are deleted.',
    steps: [
      'See which source the proxy took: `bedrock-proxy doctor`. Variables win over the profile.',
      'Unset the ones that are not meant.',
    ],
    link: 'https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html',
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'signature-mismatch',
    message: [/signature we calculated does not match|should be scoped to a valid region|incomplete ?signature/],
    cause: 'The signature does not fit: another region than the address, or something changed on the way.',
    steps: [
      'Through the proxy that is a fault of the proxy: please report it.',
      'Straight to AWS: compare the region of the address with that of the signature.',
    ],
    link: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html',
    retry: 'never',
    checked: CHECKED,
  },
  {
    id: 'clock',
    message: [
      /signature (?:expired|not yet current)|request(?:timetooskewed| has expired)|date.{0,40}too (?:skewed|far)/,
    ],
    cause: 'The clock of the machine is wrong: a virtual machine slept, or nothing sets it.',
    steps: ['Set the clock. The proxy learns the difference from the refusal, so that the next request goes through.'],
    link: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html',
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'api-key-refused',
    message: [/api key is valid|callwithbearertoken|authentication failed.{0,60}api key/],
    cause: 'The Bedrock API key has ended, is of another region, or its policy lacks bedrock:CallWithBearerToken.',
    steps: ['Make a new one for {region}, or sign with AWS credentials: unset AWS_BEARER_TOKEN_BEDROCK.'],
    link: `${GUIDE}api-keys.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'operation-not-allowed',
    message: [/operation not allowed|account is not authorized to invoke this api operation/],
    cause:
      'AWS does not let this account use the operation: a new account that is not verified, or a region ' +
      'that is closed to it.',
    steps: ['Try another region.', 'Open a case with AWS Support if it stays so.'],
    link: TROUBLE,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'no-such-endpoint',
    message: [/enotfound|getaddrinfo|name or service not known/],
    cause: 'The address of this service in this region does not exist, or names are not resolved.',
    steps: ['Check that {service} is there in {region}.', '`bedrock-proxy doctor` looks at names and the way out.'],
    link: 'https://docs.aws.amazon.com/general/latest/gr/bedrock.html',
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'idle-connection',
    message: [
      /econnreset|socket hang up|read timeout|timed? ?out while reading|connection (?:was )?(?:reset|closed) by/,
    ],
    cause: 'A long silence ended the connection: NAT and VPC endpoints close them after 350 s, SDKs after 60 s.',
    steps: ['Ask for a stream, so that bytes keep coming.', 'Give the client a longer timeout, 3,600 s for long work.'],
    link: 'https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html',
    retry: 'later',
    checked: CHECKED,
  },
  {
    id: 'wrong-route',
    message: [/isn't supported on this route|not supported on this route/],
    cause: 'This model speaks another API on this address.',
    steps: ['Take the path that the model speaks: /v1/responses, /v1/chat/completions or /v1/messages.'],
    link: `${GUIDE}inference-chat-completions.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'service-quota',
    type: ['ServiceQuotaExceeded'],
    message: [/quota|limit/],
    unless: [/too many|per day/],
    cause: 'A quota of the account is full: so many of these there may be.',
    steps: ['Delete what is not needed, or ask for more in Service Quotas.'],
    link: QUOTAS,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'guardrail-missing',
    message: [/guardrail.{0,60}(?:does not exist|not found|invalid)/],
    cause: 'There is no such guardrail in this region, or no such version of it.',
    steps: ['Look at id and version in {region}: DRAFT is one, too.'],
    link: `${GUIDE}guardrails.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'roles-must-alternate',
    message: [/roles must alternate|conversation must (?:start|alternate)|first message must use the .?user/],
    cause: 'A conversation begins with user, and user and assistant take turns.',
    steps: ['Join messages of the same role that follow each other.'],
    link: `${GUIDE}conversation-inference.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'image-too-large',
    message: [/image (?:exceeds|size|dimensions)|could not process image|image.{0,40}too (?:large|big)/],
    cause: 'An image is larger than the model takes, in bytes or pixels, or is none that it can read.',
    steps: ['Send PNG, JPEG, GIF or WebP, within 3.75 MB and 8,000 pixels a side.'],
    link: `${GUIDE}conversation-inference.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'stream-not-supported',
    message: [
      /(?:response )?streaming (?:is )?(?:not supported|isn't supported)|doesn't support (?:response )?streaming/,
    ],
    cause: 'This model responds as a whole only.',
    steps: ['Call Converse or InvokeModel in place of their streams.'],
    link: `${GUIDE}conversation-inference-supported-models-features.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'tool-use-not-supported',
    message: [/(?:doesn't|does not) support tool use|tool use (?:is )?(?:not supported|isn't supported)/],
    cause: 'This model takes no tools, or not in streams.',
    steps: ['Leave the tools out, or take a model that has them.'],
    link: `${GUIDE}conversation-inference-supported-models-features.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'system-not-supported',
    message: [/(?:doesn't|does not) support system/],
    cause: 'This model takes no system prompt.',
    steps: ['Put it into the first message.'],
    link: `${GUIDE}conversation-inference-supported-models-features.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'legacy-text-completion',
    message: [/"?claude-3"? and higher|messages api|prompt must (?:start|end) with/],
    unless: [/alternate/],
    cause: 'The body has the form of text completions; this model takes messages.',
    steps: ['Send messages, or call Converse, which has one form for all models.'],
    link: `${GUIDE}model-parameters-anthropic-claude-messages.html`,
    retry: 'after-fix',
    checked: CHECKED,
  },
  {
    id: 'plain-throttling',
    type: THROTTLED,
    message: [/^(?:throttlingexception)?[.:! ]*$|throttled|your request was denied due to/],
    unless: [/too many/],
    cause: 'AWS has too many requests of this account or for this model at this moment.',
    steps: ['Wait a moment longer after each refusal.', 'A fallback takes over meanwhile: `start --fallback`.'],
    link: QUOTAS,
    retry: 'later',
    checked: CHECKED,
  },
];
