/**
 * The part of the control plane that clients ask when they start: foundation models and inference profiles. Pure.
 */
import { ACCOUNT_ID, findOfflineModel, isProfile, LISTED_MODELS, type ListedModel } from './models.ts';
import { destinationsOf } from './places.ts';
import { awsError, invalidModel, jsonReply, validationError, type OfflineCall, type Reply } from './reply.ts';

/** When everything that is listed was made. */
const CREATED_AT = '2026-01-01T00:00:00Z';

/** Responds to a ListFoundationModels call, with all four filters. */
export function listFoundationModels(call: OfflineCall): Reply {
  const provider = call.query.get('byProvider')?.toLowerCase();
  const modality = call.query.get('byOutputModality');
  const inference = call.query.get('byInferenceType');
  const models = LISTED_MODELS.filter(
    (model) =>
      (provider === undefined || model.provider.toLowerCase() === provider) &&
      (modality === undefined || model.output.includes(modality)) &&
      (inference === undefined || inferenceTypesOf(model).includes(inference)) &&
      !call.query.has('byCustomizationType'),
  );
  return jsonReply({ modelSummaries: models.map((model) => describeModel(model, call)) });
}

/** Responds to a GetFoundationModel call, by id or ARN. */
export function getFoundationModel(call: OfflineCall): Reply {
  const identifier = call.labels['modelIdentifier'] ?? '';
  const named = findOfflineModel(identifier, call.region);
  if (named === undefined) return invalidModel();
  if (named.listed === undefined) {
    return awsError(404, 'ResourceNotFoundException', 'The offline Bedrock does not list this model.');
  }
  return jsonReply({ modelDetails: describeModel(named.listed, call) });
}

/** Responds to a ListInferenceProfiles call, with type, maxResults and nextToken. */
export function listInferenceProfiles(call: OfflineCall): Reply {
  const type = call.query.get('type');
  const maxResults = Number(call.query.get('maxResults') ?? 100);
  if (!Number.isInteger(maxResults) || maxResults < 1 || maxResults > 1000) {
    return validationError('maxResults must be between 1 and 1000.');
  }
  const token = call.query.get('nextToken') ?? 'offline-0';
  const start = Number(/^offline-(\d{1,6})$/.exec(token)?.[1] ?? Number.NaN);
  if (Number.isNaN(start)) return validationError('nextToken is invalid.');
  const profiles = type === 'APPLICATION' ? [] : profilesOf(call);
  const next = start + maxResults;
  return jsonReply({
    inferenceProfileSummaries: profiles.slice(start, next),
    ...(next < profiles.length ? { nextToken: `offline-${next}` } : {}),
  });
}

/** Responds to a GetInferenceProfile call, by id or ARN. */
export function getInferenceProfile(call: OfflineCall): Reply {
  const identifier = call.labels['inferenceProfileIdentifier'] ?? '';
  const profile = profilesOf(call).find(
    ({ inferenceProfileId, inferenceProfileArn }) =>
      inferenceProfileId === identifier || inferenceProfileArn === identifier,
  );
  if (profile !== undefined) return jsonReply(profile);
  return awsError(
    404,
    'ResourceNotFoundException',
    'The offline Bedrock has no such inference profile in this region.',
  );
}

interface Profile {
  readonly inferenceProfileId: string;
  readonly inferenceProfileArn: string;
}

function profilesOf(call: OfflineCall): Profile[] {
  return LISTED_MODELS.flatMap((model) =>
    model.geographies
      .filter((geography) => isProfile(model, geography, call.region))
      .map((geography) => describeProfile(model, geography, call)),
  );
}

function describeProfile(model: ListedModel, geography: string, { region, partition }: OfflineCall): Profile {
  const id = `${geography}.${model.id}`;
  const label = geography === 'global' ? 'Global' : geography.toUpperCase();
  const destinations = destinationsOf(geography, region);
  const description = {
    inferenceProfileName: `${label} ${model.provider} ${model.name}`.replaceAll('.', '-'),
    description: `Routes requests to ${model.name} in ${label}.`,
    createdAt: CREATED_AT,
    updatedAt: CREATED_AT,
    inferenceProfileArn: `arn:${partition}:bedrock:${region}:${ACCOUNT_ID}:inference-profile/${id}`,
    models: destinations.map((resolved) => ({ modelArn: modelArn(model, partition, resolved) })),
    inferenceProfileId: id,
    status: 'ACTIVE',
    type: 'SYSTEM_DEFINED',
  };
  return description;
}

function describeModel(model: ListedModel, { region, partition }: OfflineCall): object {
  return {
    modelArn: modelArn(model, partition, region),
    modelId: model.id,
    modelName: model.name,
    providerName: model.provider,
    inputModalities: model.input,
    outputModalities: model.output,
    responseStreamingSupported: model.output.includes('TEXT'),
    customizationsSupported: [],
    inferenceTypesSupported: inferenceTypesOf(model),
    modelLifecycle: { status: 'ACTIVE', startOfLifeTime: CREATED_AT },
  };
}

function inferenceTypesOf(model: ListedModel): string[] {
  return [...(model.isOnDemand ? ['ON_DEMAND'] : []), ...(model.geographies.length > 0 ? ['INFERENCE_PROFILE'] : [])];
}

function modelArn(model: ListedModel, partition: string, region: string): string {
  return `arn:${partition}:bedrock:${region}::foundation-model/${model.id}`;
}
