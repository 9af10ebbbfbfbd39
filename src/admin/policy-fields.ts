/**
 * The limits that LiteLLM's JSON has in one field each, made of the table of limits: their schemas, how they are read
 * and shown. The budget has two fields: that is `key-fields`' and `key-row`'s business. Pure.
 */
import { z } from 'zod';
import { MAX_LIMIT, MAX_PATTERN_LENGTH } from '../keys/policy.ts';
import type { FieldLimit, LimitField } from '../keys/define-limit.ts';
import { LIMITS } from '../keys/limits.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { readField } from './envelope.ts';

const { budget: _, ...FIELD_LIMITS } = LIMITS;

type LimitName = keyof typeof FIELD_LIMITS;
type FieldName<Name extends LimitName> = (typeof FIELD_LIMITS)[Name]['field']['name'];
type Shape = LimitField<unknown>['shape'];
type RequestSchema<Value> = z.ZodOptional<z.ZodNullable<z.ZodType<NonNullable<Value>>>>;
/** JSON has null for undefined. */
type RowValue<Value> = Exclude<Value, undefined> | (undefined extends Value ? null : never);

type RequestSchemas = { readonly [Name in LimitName as FieldName<Name>]: RequestSchema<KeyPolicy[Name]> };
type RowSchemas = { readonly [Name in LimitName as FieldName<Name>]: z.ZodType<RowValue<KeyPolicy[Name]>> };
type LimitFields = { readonly [Name in LimitName as FieldName<Name>]: RowValue<KeyPolicy[Name]> };

type AnyFields = Readonly<Record<keyof LimitFields, unknown>>;
type OurField = 'scope' | 'regions' | 'allow_unpriced' | 'profile' | 'role_arn' | 'inference_profiles';

interface FieldGroups<Fields extends AnyFields> {
  readonly models: Fields['models'];
  readonly others: Omit<Fields, 'models' | OurField>;
  readonly ours: Pick<Fields, OurField>;
}

const TABLE: { readonly [Name in LimitName]: FieldLimit<KeyPolicy[Name]> } = FIELD_LIMITS;
const NAMES = Object.keys(TABLE) as LimitName[];

/** Schemas of what a request may say. Null takes away; what is absent stays as it is. */
export const limitRequestSchemas = groupFields(
  mapFields(({ shape, description }) => requestSchema(shape).nullish().describe(description)) as RequestSchemas,
);

/** Schemas of what a response says. */
export const limitRowSchemas = groupFields(mapFields(({ shape }) => rowSchema(shape)) as RowSchemas);

/** The limits of a policy as a response shows them. */
export function toLimitFields(policy: KeyPolicy): FieldGroups<LimitFields> {
  return groupFields(mapFields((_field, name) => policy[name] ?? null) as LimitFields);
}

/** The limits that a request names, as its schema let them through. Throws AdminError naming the field. */
export function readLimitFields(fields: z.output<z.ZodObject<RequestSchemas>>): Partial<KeyPolicy> {
  const asked: Readonly<Record<string, unknown>> = fields;
  const read = <Name extends LimitName>(name: Name): KeyPolicy[Name] => {
    const { none, field } = TABLE[name];
    const value = asked[field.name] as KeyPolicy[Name] | null;
    if (value === null || value === undefined) return none;
    return readField(field.name, () => (field.read === undefined ? value : field.read(value)));
  };
  const named = NAMES.filter((name) => asked[TABLE[name].field.name] !== undefined);
  return Object.fromEntries(named.map((name) => [name, read(name)]));
}

function mapFields(
  make: (field: Pick<LimitField<unknown>, 'shape' | 'description'>, name: LimitName) => unknown,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(NAMES.map((name) => [TABLE[name].field.name, make(TABLE[name].field, name)]));
}

/** For the order of LiteLLM's JSON: the budget comes before `others`, and what LiteLLM does not have comes last. */
function groupFields<Fields extends AnyFields>(fields: Fields): FieldGroups<Fields> {
  const { models, scope, regions, allow_unpriced, profile, role_arn, inference_profiles, ...others } = fields;
  return { models, others, ours: { scope, regions, allow_unpriced, profile, role_arn, inference_profiles } };
}

function requestSchema(shape: Shape): z.ZodType {
  if (shape === 'count') return z.int().min(1).max(MAX_LIMIT);
  if (shape === 'switch') return z.boolean();
  if (shape === 'text') return z.string().max(MAX_PATTERN_LENGTH);
  if (shape === 'profiles') {
    const arn = z.string().max(MAX_PATTERN_LENGTH);
    return z.record(z.string().max(MAX_PATTERN_LENGTH), z.union([arn, z.array(arn)]));
  }
  if (shape === 'aliases') return z.record(z.string().max(1_000), z.string().max(MAX_PATTERN_LENGTH));
  return 'maxPatternLength' in shape ? z.array(z.string().max(shape.maxPatternLength)) : z.enum(shape);
}

function rowSchema(shape: Shape): z.ZodType {
  if (shape === 'count') return z.int().positive().nullable();
  if (shape === 'text') return z.string().nullable();
  if (shape === 'profiles') return z.record(z.string(), z.array(z.string()));
  return typeof shape === 'object' && 'maxPatternLength' in shape ? z.array(z.string()) : requestSchema(shape);
}
