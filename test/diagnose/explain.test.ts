/** What errors are told to mean: messages as AWS and its SDKs write them, one for each entry at least. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explainError, findEntries } from '../../src/diagnose/explain.ts';
import { EXPLANATIONS } from '../../src/diagnose/explanations.ts';

/** Type and message as they come, and the entry that is meant. */
const CORPUS: readonly (readonly [entry: string, type: string, message: string])[] = [
  [
    'on-demand-not-supported',
    'ValidationException',
    'Invocation of model ID anthropic.claude-sonnet-4-5-20250929-v1:0 with on-demand throughput isn’t supported. Retry ' +
      'your request with the ID or ARN of an inference profile that contains this model.',
  ],
  ['no-access-to-model', 'AccessDeniedException', "You don't have access to the model with the specified model ID."],
  [
    'marketplace-permissions',
    'AccessDeniedException',
    'Model access is denied due to User: arn:aws:iam::123456789012:user/a is not authorized to perform: ' +
      'aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe on this resource.',
  ],
  ['agreement', 'AccessDeniedException', 'The agreement for this model is being created. Try again later.'],
  [
    'use-case-form',
    'ResourceNotFoundException',
    'Model use case details have not been submitted for this account. Fill out the Anthropic use case details form.',
  ],
  [
    'not-authorized-action',
    'AccessDeniedException',
    'User: arn:aws:sts::123456789012:assumed-role/dev/me is not authorized to perform: bedrock:InvokeModel on resource: ' +
      'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0 because no identity-based policy allows the ' +
      'bedrock:InvokeModel action',
  ],
  [
    'explicit-deny',
    'AccessDeniedException',
    'User: arn:aws:iam::123456789012:user/a is not authorized to perform: bedrock:InvokeModelWithResponseStream on ' +
      'resource: arn:aws:bedrock:::foundation-model/x.y with an explicit deny in a service control policy',
  ],
  ['invalid-model-id', 'ValidationException', 'The provided model identifier is invalid.'],
  [
    'end-of-life',
    'ResourceNotFoundException',
    'This model version has reached the end of its life. Please refer to the AWS documentation for more details.',
  ],
  ['tokens-per-day', 'ThrottlingException', 'Too many tokens per day, please wait before trying again.'],
  ['tokens-per-minute', 'ThrottlingException', 'Too many tokens, please wait before trying again.'],
  ['requests-per-minute', 'ThrottlingException', 'Too many requests, please wait before trying again.'],
  ['too-many-connections', 'ServiceUnavailableException', 'Too many connections, please wait before trying again.'],
  ['unable-to-process', 'serviceUnavailableException', 'Bedrock is unable to process your request.'],
  ['overloaded', 'overloaded_error', 'Overloaded'],
  ['model-not-ready', 'ModelNotReadyException', 'Model is not ready for inference. Please try again in a few minutes.'],
  ['model-timeout', 'ModelTimeoutException', 'The request took too long to process.'],
  ['model-error', 'modelStreamErrorException', 'The system encountered an unexpected error during processing.'],
  ['input-too-long', 'ValidationException', 'Input is too long for requested model.'],
  [
    'max-tokens-too-high',
    'ValidationException',
    'The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is ' +
      'lower than 4096.',
  ],
  [
    'extraneous-key',
    'ValidationException',
    'Malformed input request: #/messages/0: extraneous key [cache_control] is not permitted, please reformat your ' +
      'input and try again.',
  ],
  ['extra-inputs', 'ValidationException', 'tools.0.custom.defer_loading: Extra inputs are not permitted'],
  ['invalid-beta', 'ValidationException', 'invalid beta flag'],
  [
    'tool-config-missing',
    'ValidationException',
    'The toolConfig field must be defined when using toolUse and toolResult content blocks.',
  ],
  [
    'tool-results-missing',
    'ValidationException',
    'messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1',
  ],
  [
    'tool-results-missing',
    'ValidationException',
    'Expected toolResult blocks at messages.2.content for the following Ids: tooluse_a',
  ],
  [
    'blank-text',
    'ValidationException',
    'The text field in the ContentBlock object at messages.1.content.0 is blank. Add text to the text field, and try again.',
  ],
  [
    'sampling-parameters',
    'ValidationException',
    'The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model.',
  ],
  ['cache-markers', 'ValidationException', 'A maximum of 4 blocks with cache_control may be provided. Found 5.'],
  [
    'caching-not-supported',
    'AccessDeniedException',
    'You invoked an unsupported model or your request did not allow prompt caching.',
  ],
  ['data-retention', 'ValidationException', "data retention mode 'default' is not available for this model"],
  ['expired-token', 'ExpiredTokenException', 'The security token included in the request is expired'],
  ['invalid-token', 'UnrecognizedClientException', 'The security token included in the request is invalid.'],
  [
    'signature-mismatch',
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key.',
  ],
  [
    'clock',
    'InvalidSignatureException',
    'Signature expired: 20260701T120000Z is now earlier than 20260701T125500Z (20260701T130000Z - 5 min.)',
  ],
  ['api-key-refused', 'AccessDeniedException', 'Authentication failed: Please make sure your API Key is valid.'],
  ['operation-not-allowed', 'ValidationException', 'Operation not allowed'],
  ['no-such-endpoint', 'Error', 'getaddrinfo ENOTFOUND bedrock-runtime.us-central-1.amazonaws.com'],
  ['idle-connection', 'Error', 'read ECONNRESET'],
  ['wrong-route', 'invalid_request_error', "The model 'openai.gpt-5.4' isn't supported on this route."],
  ['service-quota', 'ServiceQuotaExceededException', 'You have reached the limit of imported models.'],
  [
    'guardrail-missing',
    'ValidationException',
    'The guardrail identifier or version provided in the request does not exist.',
  ],
  [
    'roles-must-alternate',
    'ValidationException',
    'A conversation must alternate between user and assistant roles. Make sure the conversation alternates.',
  ],
  ['image-too-large', 'ValidationException', 'messages.0.content.1.image: image exceeds 5 MB maximum: 6000000 bytes'],
  ['stream-not-supported', 'ValidationException', "The model doesn't support streaming."],
  ['tool-use-not-supported', 'ValidationException', "This model doesn't support tool use in streaming mode."],
  ['system-not-supported', 'ValidationException', "This model doesn't support system messages."],
  [
    'legacy-text-completion',
    'ValidationException',
    '"claude-3-sonnet" is not supported on this API. Please use the Messages API instead.',
  ],
  ['plain-throttling', 'ThrottlingException', 'Your request was denied due to rate limits of the model.'],
];

describe('the table', () => {
  it.each(CORPUS)('explains %s (%s: %s), and no other entry does', (entry, type, message) => {
    expect(findEntries({ type, message }).map(({ id }) => id)).toEqual([entry]);
  });

  it('has a message for each entry', () => {
    expect([...new Set(CORPUS.map(([entry]) => entry))].toSorted()).toEqual(
      EXPLANATIONS.map(({ id }) => id).toSorted(),
    );
  });

  it('has no entry twice, a step for each, and links to documents of AWS alone', () => {
    const ids = EXPLANATIONS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, steps, link, checked } of EXPLANATIONS) {
      expect(steps.length, id).toBeGreaterThan(0);
      expect(link ?? 'https://docs.aws.amazon.com/', id).toMatch(/^https:\/\/docs\.aws\.amazon\.com\//);
      expect(checked, id).toMatch(/^\d{4}-\d\d-\d\d$/);
    }
    expect(EXPLANATIONS.length).toBeGreaterThanOrEqual(35);
  });
});

describe('an explanation', () => {
  it('names the profiles that the model has from the region', () => {
    const found = explainError({
      type: 'ValidationException',
      message: 'Invocation of model ID anthropic.claude-x-v1:0 with on-demand throughput isn’t supported.',
      model: 'anthropic.claude-x-v1:0',
      region: 'eu-west-1',
    });
    expect(found?.steps[0]).toBe('Call it as eu.anthropic.claude-x-v1:0 or global.anthropic.claude-x-v1:0.');
  });

  it('names action and ARN that a policy lacks', () => {
    const found = explainError({
      type: 'AccessDeniedException',
      message:
        'User: arn:aws:iam::123456789012:user/a is not authorized to perform: bedrock:InvokeModel on resource: ' +
        'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0 because no identity-based policy allows it',
    });
    expect(found?.steps[0]).toBe(
      'Allow bedrock:InvokeModel on arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0.',
    );
  });

  it('leaves out what it does not know', () => {
    const found = explainError({ message: 'Malformed input request, please reformat' });
    expect(found?.entry).toBe('extraneous-key');
    expect(found?.steps.join(' ')).not.toMatch(/[{}]|undefined/);
  });

  it('takes a pasted message without its type', () => {
    expect(explainError({ message: 'Too many tokens, please wait before trying again.' })?.entry).toBe(
      'tokens-per-minute',
    );
  });

  it('says nothing of what it does not know', () => {
    expect(explainError({ type: 'ValidationException', message: 'Something that nobody has seen.' })).toBeUndefined();
    expect(explainError({})).toBeUndefined();
  });

  it.each(['constructor', 'toString', '__proto__'])('takes the type %s for no code of the proxy', (type) => {
    expect(explainError({ type, message: 'x' })).toBeUndefined();
  });

  it('tells errors of the proxy from those of AWS', () => {
    expect(explainError({ type: 'ERR_MODEL_NOT_ALLOWED', status: 403 })).toMatchObject({
      entry: 'ERR_MODEL_NOT_ALLOWED',
      retry: 'after-fix',
    });
    expect(explainError({ type: 'ERR_REQUEST_RATE', status: 429 })?.retry).toBe('later');
  });

  it('is quick and whole for hostile messages', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 5_000 }),
          fc.constantFrom(...CORPUS.map(([, , message]) => message)).map((message) => message.repeat(200)),
          fc
            .constantFrom(' ', 'arn:aws:bedrock:', 'messages.0', 'temperature', '#/')
            .map((part) => part.repeat(20_000)),
        ),
        fc.option(fc.string({ maxLength: 200 }), { nil: undefined }),
        (message, model) => {
          const startedAt = performance.now();
          const found = explainError({ message, model, region: 'us-east-1' });
          expect(performance.now() - startedAt).toBeLessThan(200);
          expect([found?.cause, ...(found?.steps ?? [])].join(' ')).not.toMatch(/\{\w+\}/);
        },
      ),
      { numRuns: 300 },
    );
  });
});
