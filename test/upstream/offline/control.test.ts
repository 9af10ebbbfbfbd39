/** The control plane of the offline Bedrock, through the AWS SDK for JavaScript. */
import {
  BedrockClient,
  GetFoundationModelCommand,
  GetGuardrailCommand,
  GetInferenceProfileCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
  paginateListInferenceProfiles,
  type ListFoundationModelsCommandInput,
} from '@aws-sdk/client-bedrock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LISTED_MODELS } from '../../../src/upstream/offline/models.ts';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';

let bedrock: OfflineBedrock;
let client: BedrockClient;

beforeAll(async () => {
  bedrock = await startForTest();
  client = new BedrockClient(sdkSettings(bedrock.port, 'bedrock', 'eu-west-1'));
});

afterAll(async () => {
  client.destroy();
  await bedrock.close();
});

describe('ListFoundationModels', () => {
  it('lists every model with its ARN in the region asked', async () => {
    const { modelSummaries = [] } = await client.send(new ListFoundationModelsCommand({}));
    expect(modelSummaries).toHaveLength(LISTED_MODELS.length);
    const haiku = modelSummaries.find((model) => model.modelId === HAIKU);
    expect(haiku).toMatchObject({
      modelArn: `arn:aws:bedrock:eu-west-1::foundation-model/${HAIKU}`,
      providerName: 'Anthropic',
      inferenceTypesSupported: ['INFERENCE_PROFILE'],
      modelLifecycle: { status: 'ACTIVE' },
    });
  });

  it('keeps the limits of the service on a list of models', () => {
    const pattern = /^[a-z0-9-]{1,63}[.][a-z0-9-]{1,63}([.][a-z0-9-]{1,63}){0,2}(:[a-z0-9-]{1,63}){0,2}$/;
    for (const model of LISTED_MODELS) {
      expect(model.id).toMatch(pattern);
      expect(model.name.length).toBeLessThanOrEqual(20);
    }
  });

  it.each([
    { name: 'provider', input: { byProvider: 'anthropic' }, providers: ['Anthropic'] },
    { name: 'modality', input: { byOutputModality: 'EMBEDDING' }, providers: ['Amazon', 'Cohere', 'TwelveLabs'] },
    { name: 'inference type', input: { byInferenceType: 'ON_DEMAND', byProvider: 'writer' }, providers: ['Writer'] },
    { name: 'customization', input: { byCustomizationType: 'FINE_TUNING' }, providers: [] },
  ] satisfies { name: string; input: ListFoundationModelsCommandInput; providers: string[] }[])(
    'filters models by $name',
    async ({ input, providers }) => {
      const { modelSummaries = [] } = await client.send(new ListFoundationModelsCommand(input));
      expect([...new Set(modelSummaries.map((model) => model.providerName))]).toEqual(providers);
      expect(modelSummaries.length).toBeLessThan(LISTED_MODELS.length);
    },
  );
});

describe('GetFoundationModel', () => {
  it.each([HAIKU, `arn:aws:bedrock:eu-west-1::foundation-model/${HAIKU}`])(
    'describes the model %s',
    async (modelIdentifier) => {
      const { modelDetails } = await client.send(new GetFoundationModelCommand({ modelIdentifier }));
      expect(modelDetails).toMatchObject({ modelId: HAIKU, responseStreamingSupported: true });
    },
  );

  it.each([
    { modelIdentifier: 'arn:aws:bedrock:eu-west-1:123456789012:custom-model/abc', name: 'ResourceNotFoundException' },
    { modelIdentifier: 'anthropic.claude-99', name: 'ValidationException' },
    { modelIdentifier: 'no-such-thing', name: 'ValidationException' },
  ])('refuses to describe $modelIdentifier with $name', async ({ modelIdentifier, name }) => {
    await expect(client.send(new GetFoundationModelCommand({ modelIdentifier }))).rejects.toMatchObject({ name });
  });
});

describe('inference profiles', () => {
  it('lists the inference profiles of the geography and the global ones', async () => {
    const input = { typeEquals: 'SYSTEM_DEFINED' as const };
    const { inferenceProfileSummaries = [] } = await client.send(new ListInferenceProfilesCommand(input));
    const geographies = new Set(
      inferenceProfileSummaries.map(({ inferenceProfileId = '' }) => inferenceProfileId.split('.')[0]),
    );
    expect([...geographies].toSorted()).toEqual(['eu', 'global']);
    for (const { inferenceProfileName, models = [] } of inferenceProfileSummaries) {
      expect(inferenceProfileName).toMatch(/^([0-9a-zA-Z][ _-]?)+$/);
      expect(models.length).toBeGreaterThan(0);
    }
  });

  it('lists inference profiles in pages', async () => {
    const ids: unknown[] = [];
    for await (const page of paginateListInferenceProfiles({ client, pageSize: 4 }, {})) {
      ids.push(...(page.inferenceProfileSummaries ?? []).map((profile) => profile.inferenceProfileId));
    }
    const { inferenceProfileSummaries = [] } = await client.send(new ListInferenceProfilesCommand({}));
    expect(ids).toEqual(inferenceProfileSummaries.map((profile) => profile.inferenceProfileId));
  });

  it('describes each inference profile, by id and by ARN', async () => {
    const inferenceProfileIdentifier = `eu.${HAIKU}`;
    const profile = await client.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier }));
    expect(profile).toMatchObject({ inferenceProfileId: inferenceProfileIdentifier, status: 'ACTIVE' });
    expect(profile.createdAt).toBeInstanceOf(Date);
    const arn = { inferenceProfileIdentifier: profile.inferenceProfileArn };
    expect(await client.send(new GetInferenceProfileCommand(arn))).toMatchObject({ inferenceProfileId: `eu.${HAIKU}` });
  });

  it('finds no inference profiles of another geography', async () => {
    const sent = client.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: `us.${HAIKU}` }));
    await expect(sent).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});

it('says which operation the offline Bedrock lacks, with a status that no SDK tries again', async () => {
  const sent = client.send(new GetGuardrailCommand({ guardrailIdentifier: 'gr1' }));
  await expect(sent).rejects.toMatchObject({
    name: 'UnsupportedOperationException',
    message: 'The offline Bedrock lacks bedrock GetGuardrail.',
    $metadata: { httpStatusCode: 400 },
  });
});
