/**
 * The models of `rows.ts` against the two things they must fit: the operations that the proxy routes, and the inputs of
 * the AWS SDK's clients, where a new member that names a model fails here until somebody has decided what it means.
 */
import { NormalizedSchema } from '@smithy/core/schema';
import { describe, expect, it } from 'vitest';
import { findFacts, OPERATION_ROWS } from '../../src/operations/find-facts.ts';
import { MAX_TOKENS } from '../../src/admission/limit-fields.ts';
import { JsonPaths } from '../../src/protocol/json-paths.ts';
import { JsonScanner } from '../../src/protocol/json-scan.ts';
import { OPERATIONS, SERVICES } from '../../src/operations/catalog.ts';

const isDataPlane = (service: string): boolean => SERVICES.get(service)?.plane === 'data';
const named = OPERATIONS.flatMap(({ service, name, effect }) =>
  name === undefined ? [] : [{ service: service.id, name, effect, key: `${service.id} ${name}` }],
);

const hasRow = (service: string, name: string): boolean => OPERATION_ROWS.get(service)?.get(name)?.models !== undefined;

describe('operations', () => {
  it('has a row for all operations of the data plane that says which models run', () => {
    const missing = named.filter(({ service, name }) => isDataPlane(service) && !hasRow(service, name));
    expect(missing.map(({ key }) => key)).toEqual([]);
  });

  it('has rows only for operations that exist', () => {
    const known = new Set(named.map(({ key }) => key));
    expect(
      [...OPERATION_ROWS]
        .flatMap(([service, rows]) => [...rows.keys()].map((name) => `${service} ${name}`))
        .filter((key) => !known.has(key)),
    ).toEqual([]);
  });

  it('finds no model in operations that only read', () => {
    const running = named.filter(
      ({ service, name, effect }) =>
        effect === 'read' && isDataPlane(service) && findFacts(service, name).models.kind !== 'none',
    );
    expect(running).toEqual([]);
  });

  it.each([
    { service: 'bedrock-runtime', operation: 'Converse', kind: 'path', isOptional: false },
    { service: 'bedrock-runtime', operation: 'ChatCompletions', kind: 'body', isOptional: false },
    { service: 'bedrock-agent-runtime', operation: 'Retrieve', kind: 'body', isOptional: true },
    { service: 'bedrock-agent-runtime', operation: 'InvokeAgent', kind: 'unknown', isOptional: false },
    { service: 'bedrock-runtime', operation: 'ApplyGuardrail', kind: 'none', isOptional: true },
    { service: 'bedrock', operation: 'CreateModelInvocationJob', kind: 'body', isOptional: false },
    { service: 'bedrock', operation: 'GetFoundationModel', kind: 'none', isOptional: true },
    { service: 'bedrock', operation: undefined, kind: 'unknown', isOptional: false },
    { service: 'bedrock-mantle', operation: undefined, kind: 'unknown', isOptional: false },
    { service: 'agentcore-gateway', operation: undefined, kind: 'unknown', isOptional: false },
    { service: 'bedrock-runtime', operation: 'OfTomorrow', kind: 'unknown', isOptional: false },
    { service: 'bedrock-runtime', operation: undefined, pathModel: 'x', kind: 'path', isOptional: false },
  ])('finds the model of $service $operation in: $kind', ({ service, operation, pathModel, kind, isOptional }) => {
    expect(findFacts(service, operation, pathModel !== undefined).models).toMatchObject({ kind, isOptional });
  });
});

/** Every scalar in the body of an operation's input, as a path, the recursion of a shape cut at its second turn. */
function pathsIn(schema: NormalizedSchema, path: string, above: readonly string[]): string[] {
  if (schema.isListSchema()) return pathsIn(schema.getValueSchema(), `${path}[]`, above);
  if (schema.isMapSchema()) return pathsIn(schema.getValueSchema(), `${path}.*`, above);
  if (!schema.isStructSchema()) return [path];
  const name = schema.getName(true) ?? '';
  if (above.filter((other) => other === name).length > 1) return [];
  return [...schema.structIterator()].flatMap(([member, value]) => {
    const { httpLabel, httpHeader, httpQuery, jsonName } = value.getMergedTraits();
    if (above.length === 0 && (httpLabel ?? httpHeader ?? httpQuery) !== undefined) return [];
    const own = typeof jsonName === 'string' ? jsonName : member;
    return pathsIn(value, path === '' ? own : `${path}.${own}`, [...above, name]);
  });
}

const SERVICE_IDS = [
  'bedrock-runtime',
  'bedrock-agent-runtime',
  'bedrock-agentcore',
  'bedrock',
  'bedrock-agent',
  'bedrock-agentcore-control',
];

async function inputsOf(service: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const client: Record<string, unknown> = await import(`@aws-sdk/client-${service}`);
  const schemas = Object.entries(client).filter(
    ([name, value]) => name.endsWith('$') && Array.isArray(value) && value[0] === 9,
  );
  return new Map(
    schemas.map(([, schema]) => {
      const [, , name, , input] = schema as [9, string, string, object, () => never];
      return [name, pathsIn(NormalizedSchema.of(input()), '', [])];
    }),
  );
}

const NAMES_MODEL =
  /(?:model(?:Id|Arn|Identifier|SourceIdentifier)?|promptArn|agentAliasArn|agentDescriptor\.aliasArn)$/i;
/** It gives an agreement up: no model is run or bought. */
const HARMLESS = new Set(['bedrock DeleteFoundationModelAgreement']);

const isSame = (path: string, pattern: string): boolean =>
  new RegExp(
    `^${pattern
      .replaceAll('.', String.raw`\.`)
      .replaceAll('[]', String.raw`\[\]`)
      .replaceAll('*', '[^.]+')}$`,
  ).test(path);

describe.each(SERVICE_IDS)('the inputs of %s', (service) => {
  it("has every model field of the service's inputs, and no other", async () => {
    const inputs = await inputsOf(service);
    const wrong: string[] = [];
    for (const [operation, paths] of inputs) {
      const places = findFacts(service, operation).models.paths;
      for (const place of places) {
        // Free-form members have no shape of their own to look into.
        if (/^(?:additionalModelRequestFields\.)?tools\[\]\.model$/.test(place)) continue;
        if (!paths.some((path) => isSame(path, place))) wrong.push(`${operation}: no such member: ${place}`);
      }
      if (HARMLESS.has(`${service} ${operation}`)) continue;
      for (const path of paths) {
        if (!NAMES_MODEL.test(path)) continue;
        if (!places.some((place) => isSame(path, place))) wrong.push(`${operation}: not in the table: ${path}`);
      }
    }
    expect(inputs.size).toBeGreaterThan(5);
    expect(wrong).toEqual([]);
  });

  it('has no member that differs only in case from one that counts for a limit, so that none is refused for that', async () => {
    const wrong: string[] = [];
    for (const [operation, paths] of await inputsOf(service)) {
      const wanted = new JsonPaths([...findFacts(service, operation).models.paths, ...MAX_TOKENS]);
      for (const path of paths) {
        const scanner = new JsonScanner(wanted, () => {});
        scanner.push(Buffer.from(bodyWith(path)));
        if (scanner.hasCaseVariant) wrong.push(`${operation}: ${path}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** A body that has a value at a path. */
function bodyWith(path: string): string {
  const steps = path.replaceAll('[]', '.[]').split('.').toReversed();
  return steps.reduce((inner, step) => (step === '[]' ? `[${inner}]` : `{"${step}":${inner}}`), '1');
}
