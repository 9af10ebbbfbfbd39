/**
 * An application inference profile of a key takes the place of the model in the path that is sent. Pure. What judges
 * and prices the request goes on by the model that was asked for.
 */
import { findInferenceProfile, type InferenceProfiles } from '../domain/inference-profile.ts';
import { joinTarget } from '../http/target.ts';
import type { Route } from './route.ts';

/** Those that take a profile by its ARN; CountTokens does not. */
const OPERATIONS: ReadonlySet<string | undefined> = new Set([
  'InvokeModel',
  'InvokeModelWithResponseStream',
  'InvokeModelWithBidirectionalStream',
  'Converse',
  'ConverseStream',
]);
/** After an operator's path prefix. */
const MODEL_PATH = /^(.*\/model\/)[^/]+(\/[^/]+)$/;

/** The same route if there is no profile for its model in its region: it may be asked for each attempt. */
export function useInferenceProfile(route: Route, profiles: InferenceProfiles): Route {
  const { service, operation, modelId, region, upstreamTarget } = route;
  if (modelId === undefined || service !== 'bedrock-runtime' || !OPERATIONS.has(operation)) return route;
  const arn = findInferenceProfile(profiles, modelId, region);
  const [, start, end] = (arn !== undefined && MODEL_PATH.exec(upstreamTarget.path)) || [];
  if (arn === undefined || start === undefined || end === undefined) return route;
  const path = start + encodeURIComponent(arn) + end;
  return { ...route, inferenceProfile: arn, upstreamTarget: joinTarget(path, upstreamTarget.query) };
}
