/**
 * What a report tells of rows of the ledger, as SQL: their names and their sums. The schema keeps the same sums beside
 * the rows (`usage-schema.ts`), and a report works out the others (`usage.ts`). No I/O.
 */

/** Days are of UTC. */
export const DAY_MS = 86_400_000;

/** The tables of sums, small ones first, and the names that each has; besides, each has the day. */
export const USAGE_TABLES: Readonly<Record<string, readonly string[]>> = {
  usage_by_tags: ['tags'],
  usage_by_model: ['principal', 'model', 'operation', 'region', 'upstream', 'tier', 'price_source', 'user_agent'],
  usage_by_key: ['key_id', 'principal'],
  usage_by_key_and_model: ['key_id', 'principal', 'model'],
};

/** What finds the last label of a row of such a table, if rows up to a sequence count. */
export function findLastLabel(table: string, untilSequence: string): string {
  const model = USAGE_TABLES[table]?.includes('model') === true ? 'model' : 'NULL';
  return `bedrock_proxy.find_last_label(day, key_id, principal, ${model}, ${untilSequence})`;
}

/** The names of a row. Unknown is ''. */
export const ROW_NAMES: Readonly<Record<string, string>> = {
  day: `started_at_ms / ${DAY_MS}`,
  key_id: 'key_id',
  principal: 'principal',
  model: "coalesce(model, '')",
  operation: "coalesce(operation, '')",
  region: "coalesce(region, '')",
  upstream: "coalesce(upstream, '')",
  // AWS's default is the tier of what asks for none; OpenAI's and Anthropic's word for it is another one.
  tier: `CASE WHEN coalesce(service_tier, 'standard') <> 'standard' THEN service_tier
    WHEN service_tier IS NOT NULL OR pricing <> 'free' THEN 'default' ELSE '' END`,
  price_source: "coalesce(price_source, '')",
  user_agent: "coalesce(user_agent, '')",
  session: "coalesce(session, '')",
  agent: "coalesce(agent, '')",
  tags: "coalesce(tags, '')",
};

const TOKENS = ['input', 'output', 'cache_read', 'cache_write'];

/** What is summed of rows. `…_rows`: how many have the count. */
export const ROW_SUMS: Readonly<Record<string, string>> = {
  row_count: 'count(*)',
  requests: toSum('requests'),
  errors: toSum('requests', 'status IS NULL OR status >= 400'),
  unpriced: toSum('requests', "pricing = 'unpriced'"),
  partial: toSum('requests', 'partial = 1'),
  ...Object.fromEntries(TOKENS.map((kind) => [`${kind}_tokens`, toSum(`${kind}_tokens`)])),
  ...Object.fromEntries(TOKENS.map((kind) => [`${kind}_rows`, `count(${kind}_tokens)`])),
  cost_nano: toSum('cost_nano'),
  estimated_nano: toSum('charged_nano - coalesce(cost_nano, 0)', 'charged_nano > coalesce(cost_nano, 0)'),
};

function toSum(value: string, condition = 'true'): string {
  const filter = condition === 'true' ? '' : ` FILTER (WHERE ${condition})`;
  return `coalesce(sum(${value})${filter}, 0)::bigint`;
}

/** The columns of sums. */
export const SUM_COLUMNS = Object.keys(ROW_SUMS);

/**
 * The label of the last of some rows, behind its sequence in sixteen digits, as many as 2^53 has: the largest of these
 * texts is that of the last row.
 */
export const ROW_LABEL = `max((lpad(sequence::text, 16, '0') || key_label) COLLATE "C")`;

/** `a AS b, …` */
export function toColumns(
  expressions: Readonly<Record<string, string>>,
  names: readonly string[] = Object.keys(expressions),
): string {
  return names.map((name) => (expressions[name] === name ? name : `${expressions[name]} AS ${name}`)).join(', ');
}
