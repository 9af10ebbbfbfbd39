/**
 * What is billed besides the tokens of the model that was called, as responses tell it: units of guardrails, searches,
 * tools that ran at the provider. What may cost, and has no known count, marks the tally. Pure.
 */
import { asObject, isObject, type JsonObject } from '../lib/json.ts';
import type { Tally } from './usage-tally.ts';

/** What ran besides the model: Converse's `trace`, and `amazon-bedrock-trace` of InvokeModel. Does not throw. */
export function readTrace(trace: unknown, tally: Tally): void {
  if (!isObject(trace)) return;
  const { promptRouter, guardrail } = trace;
  if (isObject(promptRouter)) {
    tally.putModel(promptRouter['invokedModelId']);
    // AWS sells the routing by the request, at a price that no source has.
    tally.hasUnknownPart = true;
  }
  // Converse: `inputAssessment` by id, `outputAssessments` lists by id; InvokeModel: `input` by id, `outputs` a list.
  for (const assessment of Object.values(asObject(guardrail))) readAssessments(assessment, tally, ASSESSMENT_DEPTH);
}

const ASSESSMENT_DEPTH = 3;

function readAssessments(value: unknown, tally: Tally, depth: number): void {
  if (typeof value !== 'object' || value === null || depth < 0) return;
  const metrics = isObject(value) ? value['invocationMetrics'] : undefined;
  if (metrics !== undefined) return readGuardrail(asObject(metrics), tally);
  for (const inner of Object.values(value)) readAssessments(inner, tally, depth - 1);
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailUsage.html */
const POLICY_UNITS: ReadonlySet<string> = new Set([
  'topicPolicyUnits',
  'contentPolicyUnits',
  'contentPolicyImageUnits',
  'wordPolicyUnits',
  'sensitiveInformationPolicyUnits',
  'sensitiveInformationPolicyFreeUnits',
  'contextualGroundingPolicyUnits',
  'automatedReasoningPolicyUnits',
]);

/** ApplyGuardrail. What `assessments` tells is the same again, by policy. */
export function readGuardrail(body: JsonObject, tally: Tally): void {
  // A number of policies, which nobody sells.
  const { automatedReasoningPolicies: _policies, ...units } = asObject(body['usage']);
  tally.addUnits(units, POLICY_UNITS);
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailChecksUsageResults.html */
const CHECK_UNITS: ReadonlySet<string> = new Set([
  'contentFilter.textUnits',
  'promptAttack.textUnits',
  'sensitiveInformation.textUnits',
]);

/** InvokeGuardrailChecks. */
export function readGuardrailChecks(body: JsonObject, tally: Tally): void {
  for (const [check, usage] of Object.entries(asObject(body['usage']))) {
    const units = Object.entries(asObject(usage)).map(([name, value]) => [`${check}.${name}`, value]);
    tally.addUnits(Object.fromEntries(units), CHECK_UNITS);
  }
}

/**
 * Counts of what ran at the provider beside the model, by names of its own. Those that cost nothing but their tokens
 * are in FREE_TOOLS; what is not known may cost.
 */
export function readToolUse(tools: unknown, tally: Tally): void {
  if (!isObject(tools)) return;
  for (const [name, value] of Object.entries(tools)) {
    if (name === 'web_search_requests') tally.putPieces('webSearches', value);
    else if (!FREE_TOOLS.has(name)) tally.hasUnknownPart ||= hasCount(value);
  }
}

/** https://platform.claude.com/docs/en/about-claude/pricing */
const FREE_TOOLS: ReadonlySet<string> = new Set(['web_fetch_requests', 'tool_search_requests']);
const TOOL_DEPTH = 3;

/** Whether anything is in it but zeros. */
export function hasCount(value: unknown, depth = TOOL_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return Boolean(value);
  return depth < 0 || Object.values(value).some((inner) => hasCount(inner, depth - 1));
}
