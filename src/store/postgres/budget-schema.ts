/** What keys spend: accounts, and money that is reserved for requests under way. */
export const BUDGET_SCHEMA = `
CREATE TABLE bedrock_proxy.key_spend (
  account_id      text PRIMARY KEY,
  total_nano      bigint NOT NULL,
  window_start_ms bigint,
  window_nano     bigint NOT NULL,
  reserved_nano   bigint NOT NULL
);
CREATE TABLE bedrock_proxy.reservations (
  id             text PRIMARY KEY,
  account_id     text NOT NULL,
  amount_nano    bigint NOT NULL,
  owner          text NOT NULL,
  lease_until_ms bigint NOT NULL,
  if_lost        jsonb NOT NULL
);`;
